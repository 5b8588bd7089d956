"""The run's log in Prefect: what was seen, what was decided and why, what came of it, in words."""

import logging

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

log = logging.getLogger(__name__)

#: A line of the log is cut to this many characters.
_LONGEST = 1_000

_latest: list[str] = []


def say(words: str) -> None:
    """Write one line to the log of the run; outside a run, to this process's own. Prefect sends it later: nothing waits."""
    line = one_line(redact(words))[:_LONGEST]
    _latest[:] = [line]
    try:
        get_run_logger().info("%s", line)
    except MissingContextError:
        log.info("%s", line)


def begin_step() -> None:
    """Forget what was said before this step."""
    _latest.clear()


def last_words() -> str | None:
    """What this step said last; None if it has said nothing."""
    return _latest[-1] if _latest else None
