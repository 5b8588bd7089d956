"""The playbook run of this process: steps take an incident or nothing, as a flow's author writes them, and find it here."""

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
    """Steps that are called inside work on this run."""
    _runs.append(run)
    try:
        yield
    finally:
        _runs.remove(run)
