"""Where files lie on the platform's own file server, below its root."""

from filestore.names import safe_name


def log_folder(station: str, job_id: int) -> str:
    return f"logs/{safe_name(station)}/{job_id}/"


def firmware_file(job_id: int) -> str:
    return f"firmware/{job_id}/firmware.bin"
