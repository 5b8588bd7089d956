"""A process with more open files than `select` knows descriptors for."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from required import missing

#: The highest descriptor that `select` takes, and one.
BEYOND = 1024


@contextmanager
def beyond_select() -> Iterator[None]:
    """What is opened meanwhile has a descriptor that `select` refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * BEYOND:
        missing(f"a process here may have {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * BEYOND), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(BEYOND)]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
