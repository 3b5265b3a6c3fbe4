"""What the domain refuses.

::

    ChargersError
    ├── CertificateRefused
    ├── NoCertificateAuthority
    ├── FileExists
    ├── FileRefused
    ├── FileTooLarge
    ├── StorageFull
    ├── StorageReadOnly
    ├── UnknownFile
    ├── UnknownStation
    ├── UnknownChargingProfile
    └── NotAuthenticated
        ├── ConnectionTooWeak
        ├── ForeignCertificate
        └── WrongCredentials

Each carries a stable ``code``; the edges map it to HTTP or to OCPP.
"""


class ChargersError(Exception):
    code = "error"


class CertificateRefused(ChargersError):
    """A certificate or a signing request is no good; each reason has a ``code`` of its own."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class NoCertificateAuthority(ChargersError):
    """Somebody else signs the certificates of stations, or nobody does."""

    code = "CERTIFICATE_AUTHORITY_DOES_NOT_EXIST"


class UnknownStation(ChargersError):
    """No station has this identity, and unknown ones are not registered by themselves."""

    code = "CHARGING_STATION_DOES_NOT_EXIST"

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"no charging station {identity!r}")


class UnknownChargingProfile(ChargersError):
    """No charging profile with this id is in store."""

    code = "CHARGING_PROFILE_DOES_NOT_EXIST"

    def __init__(self, number: object) -> None:
        super().__init__(f"no charging profile {number!r}")


class UnknownFile(ChargersError):
    """There is no such file in the folder of the file servers, or none that may be shown."""

    code = "FILE_DOES_NOT_EXIST"

    def __init__(self, path: str) -> None:
        super().__init__(f"no file {path!r}")


class FileExists(ChargersError):
    """A file is there already; none is ever overwritten."""

    code = "FILE_EXISTS"

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(reason or f"there is a file {path!r} already: delete it first, or choose another path")


class FileRefused(ChargersError):
    """A file cannot be taken; `field` is what is no good about the request."""

    code = "invalid"

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(reason)


class FileTooLarge(ChargersError):
    """A file is larger than the platform takes; `limit` is in bytes."""

    code = "FILE_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the file is larger than {limit} bytes (OV2XMP_FILES_MAX_SIZE)")


class StorageFull(ChargersError):
    """There is no room for a file."""

    code = "STORAGE_FULL"


class StorageReadOnly(ChargersError):
    """This process may not write to the folder of the file servers."""

    code = "STORAGE_READ_ONLY"


class NoContractProvider(ChargersError):
    """Nobody is set up who issues contract certificates, or vouches for certificates."""

    code = "NO_CONTRACT_PROVIDER"


class NotAuthenticated(ChargersError):
    """A station has not proved that it is the one it says; `reason` tells what is missing."""

    def __init__(self, identity: str, reason: str) -> None:
        self.identity = identity
        self.reason = reason
        super().__init__(f"charging station {identity!r} is not authenticated: {reason}")


class ConnectionTooWeak(NotAuthenticated):
    """The station must connect with a higher security profile, so that no key would help."""

    code = "CONNECTION_TOO_WEAK"


class ForeignCertificate(NotAuthenticated):
    """The certificate that the station connected with is of another serial number than it boots with."""

    code = "FOREIGN_CERTIFICATE"


class WrongCredentials(NotAuthenticated):
    """The station's key is missing or is not the one on record."""

    code = "WRONG_CREDENTIALS"
