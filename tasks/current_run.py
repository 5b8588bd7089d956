"""The playbook run of this process, for steps, which take only what a flow's author passes."""

from collections.abc import Iterator
from contextlib import contextmanager

from paramedic.change.run import PlaybookRun

_runs: list[PlaybookRun] = []


def current_run() -> PlaybookRun:
    """The run of this process. Raises LookupError outside a playbook."""
    if not _runs:
        raise LookupError("no playbook is at work in this process; call steps from a @playbook")
    return _runs[-1]


@contextmanager
def working_on(run: PlaybookRun) -> Iterator[None]:
    """Make this the run of the steps called inside."""
    _runs.append(run)
    try:
        yield
    finally:
        _runs.remove(run)
