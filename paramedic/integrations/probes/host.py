"""The machine that we run on, as the kernel tells it."""

from dataclasses import dataclass
from datetime import timedelta

import psutil

from paramedic.errors import PermanentError


@dataclass(frozen=True, slots=True)
class HostRow:
    """How much of the machine is used."""

    cpu_percent: float  # of all cores
    memory: int  # bytes that no program could have
    memory_percent: float
    disk_percent: float  # of what an ordinary user may fill


def used(path: str, sample: timedelta = timedelta(milliseconds=500)) -> HostRow:
    """How much is used now, CPU over `sample`; the disk is the one that holds `path`.

    Raises PermanentError where there is none.
    """
    try:
        disk = psutil.disk_usage(path)
    except OSError as error:
        raise PermanentError(f"the disk of {path} cannot be read: {error.strerror}") from error
    cpu = psutil.cpu_percent(sample.total_seconds())
    memory = psutil.virtual_memory()
    return HostRow(cpu, memory.total - memory.available, memory.percent, disk.percent)
