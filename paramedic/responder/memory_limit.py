"""The memory limit of a run's process: a leak ends this process and nothing else."""

import asyncio
import logging
import signal

import psutil

from paramedic.responder.process_pool import PooledProcess

#: How often the size of a run at work is read.
_LOOK_EVERY_SECONDS = 2.0


async def keep_below(
    limit: int, process: PooledProcess, log: logging.Logger | logging.LoggerAdapter[logging.Logger]
) -> None:
    """End the process once it has more than `limit` bytes of its own, and say so; else go on until cancelled."""
    while (size := _resident(process.pid)) <= limit:  # noqa: ASYNC110 - the size is the kernel's, not ours
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    log.error("Its process grew to %d MiB and was ended: run_memory allows %d MiB", size >> 20, limit >> 20)
    process.signal(signal.SIGKILL)


def _resident(pid: int | None) -> int:
    """The process's own memory in bytes; 0 where that cannot be read."""
    try:
        memory = psutil.Process(pid).memory_info()
    except (psutil.Error, ValueError):
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))
