"""Which of the files in the folder belong to whom: to a log upload, a firmware update, a station.

Nothing about files is in the database; their paths tell.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chargers import folder
from chargers.choices import FileKind, JobFlag
from chargers.folder import StoredFile
from chargers.models import ChargePoint, FirmwareUpdate, LogUpload
from chargers.models.job import Job
from filestore.names import safe_name

# How many files are shown with their job; a list of files shows the others.
MAX_OF_A_JOB = 100
LOGS, FIRMWARE = "logs", "firmware"
_LOG = re.compile(r"logs/(?P<station>[^/]+)/(?:(?P<id>[0-9]{1,10})/)?")


@dataclass(frozen=True)
class Belonging:
    """Whom a file belongs to, as far as its path tells."""

    kind: FileKind
    job: Job | None
    chargepoint_id: str | None


def listed(*, kind: FileKind | None = None, station: str | None = None, job: int | None = None) -> list[str]:
    """Return the paths of files, in the order of their names, walking only where they can be."""
    if station is None and job is None:
        if kind is None:
            return folder.walk()
        if kind == FileKind.OTHER:
            named = _named_by_updates()
            return [path for path in folder.walk(without=(LOGS, FIRMWARE)) if path not in named]
    found = _logs(station, job) if kind in (None, FileKind.LOG) else []
    if kind in (None, FileKind.FIRMWARE) and (firmware := _firmware(station, job)):
        found = sorted([*found, *firmware], key=folder.natural)
    return found


def _firmware(station: str | None, job: int | None) -> list[str]:
    if station is None and job is None:
        outside = [each.path for each in folder.look_at(_named_by_updates())]
        return [*folder.walk(FIRMWARE), *outside]
    updates = FirmwareUpdate.objects.exclude(path="")
    updates = updates if job is None else updates.filter(pk=job)
    updates = updates if station is None else updates.filter(chargepoint=station)
    return [each.path for each in folder.look_at(set(updates.values_list("path", flat=True)))]


def _named_by_updates() -> set[str]:
    """Return the firmware that lies where an operator said."""
    named = FirmwareUpdate.objects.exclude(path="").exclude(path__startswith=f"{FIRMWARE}/")
    return set(named.values_list("path", flat=True).distinct())


def _logs(station: str | None, job: int | None) -> list[str]:
    if job is not None:
        uploads = LogUpload.objects.filter(pk=job).exclude(path="")
        uploads = uploads if station is None else uploads.filter(chargepoint=station)
        return [path for top in uploads.values_list("path", flat=True) for path in folder.walk(top)]
    if station is None:
        return folder.walk(LOGS)
    top = f"{LOGS}/{safe_name(station)}/"
    # Other stations may have names that are the same in a path.
    owners = dict(LogUpload.objects.filter(path__startswith=top).values_list("path", "chargepoint_id"))
    unclaimed = station if top == f"{LOGS}/{station}/" else None
    return [path for path in folder.walk(top) if owners.get(_log_folder(path), unclaimed) == station]


def _log_folder(path: str) -> str:
    """Return the folder of the log upload that a path may belong to."""
    match = _LOG.match(path)
    return match[0] if match and match["id"] else ""


def belongings(files: Iterable[str], *, station: str | None = None, job: int | None = None) -> dict[str, Belonging]:
    """Tell whom files belong to, in a fixed number of queries.

    Firmware may be meant for many stations: then that is the newest update, among those of `station`
    or the one of the number `job` where these are given.
    """
    wanted = list(files)
    matches = {path: match for path in wanted if (match := _LOG.match(path))}
    numbers = {int(match["id"]) for match in matches.values() if match["id"]}
    uploads = {row.path: row for row in LogUpload.objects.filter(pk__in=numbers)}
    updates = FirmwareUpdate.objects.filter(path__in=[path for path in wanted if path not in matches])
    updates = updates if job is None else updates.filter(pk=job)
    updates = updates if station is None else updates.filter(chargepoint=station)
    newest = {row.path: row for row in updates.order_by("pk")}
    named = {match["station"] for match in matches.values()}
    stations = set(ChargePoint.objects.filter(pk__in=named).values_list("pk", flat=True))

    def belonging(path: str) -> Belonging:
        if match := matches.get(path):
            upload = uploads.get(match[0])
            if upload:
                return Belonging(FileKind.LOG, upload, upload.chargepoint_id)
            return Belonging(FileKind.LOG, None, match["station"] if match["station"] in stations else None)
        update = newest.get(path)
        return Belonging(_kind(path, update), update, update.chargepoint_id if update else None)

    return {path: belonging(path) for path in wanted}


def _kind(path: str, update: FirmwareUpdate | None) -> FileKind:
    if update or path.startswith(f"{FIRMWARE}/"):
        return FileKind.FIRMWARE
    return FileKind.LOG if path.startswith(f"{LOGS}/") else FileKind.OTHER


def files_of(job: Job) -> list[StoredFile] | None:
    """Look at the files of a job, the first ones of many; none where they lie elsewhere or cannot be seen from here."""
    if not job.path or not folder.is_visible():
        return None
    # A log's path is a folder: the station may have put more into it than it told, by other names.
    wanted = folder.walk(job.path)[:MAX_OF_A_JOB] if job.path.endswith("/") else [job.path]
    return list(folder.look_at(wanted))


def flags(job: Job, files: Collection[StoredFile] | None) -> list[JobFlag]:
    """Tell where what a station said and what is there contradict each other."""
    if files is None:
        return []
    if job.misses_file and not files:
        return [JobFlag.FILE_MISSING]
    if job.denies_file and files:
        return [JobFlag.FILE_UNREPORTED]
    return []
