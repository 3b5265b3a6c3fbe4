"""Why a command is refused before anything is sent.

::

    CommandError
    ├── StationOffline
    ├── VersionMismatch
    ├── NotAccepted
    ├── StationUnable
    ├── ListUpdateRunning
    ├── KeyChangeInDoubt
    └── NotCancellable

Each carries the stable ``code`` that clients see.
"""


class CommandError(Exception):
    code = "error"


class StationOffline(CommandError):
    code = "CHARGING_STATION_OFFLINE"


class VersionMismatch(CommandError):
    code = "OCPP_VERSION_MISMATCH"


class NotAccepted(CommandError):
    """The station's registration status forbids the command (OCPP 1.6 section 4.2)."""

    code = "CHARGING_STATION_NOT_ACCEPTED"


class StationUnable(CommandError):
    """The station is known to refuse this; `force` asks it all the same."""

    code = "CHARGING_STATION_UNABLE"


class ListUpdateRunning(CommandError):
    """A station is sent one change of its local list at a time."""

    code = "LOCAL_LIST_UPDATE_RUNNING"


class KeyChangeInDoubt(CommandError):
    """It is not known yet whether the station has taken the key it was sent before; `force` gives that one up."""

    code = "KEY_CHANGE_IN_DOUBT"


class NotCancellable(CommandError):
    """Only a command that still waits in the queue can be cancelled."""

    code = "COMMAND_NOT_QUEUED"
