"""oncall.yaml, as it was last fit to be used: all of the library that the watchdog needs."""

import logging
from pathlib import Path

from paramedic.document import BadDocument, Problem
from paramedic.escalation import Oncall, parse_oncall

log = logging.getLogger(__name__)


class OncallFile:
    """Reads the file again when it changed. A change that cannot be used changes nothing: the last good word stands."""

    def __init__(self, path: Path) -> None:
        """Raises BadDocument: without a first good word nobody could be told."""
        self._path = path
        self._changed_at = self._stamp()
        self._oncall = self._parsed()

    @property
    def oncall(self) -> Oncall:
        """Who is on call."""
        stamp = self._stamp()
        if stamp != self._changed_at:
            self._changed_at = stamp
            try:
                self._oncall = self._parsed()
            except BadDocument as error:
                log.error("the last good one is used: %s", error)  # noqa: TRY400 - its words say it
        return self._oncall

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _parsed(self) -> Oncall:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadDocument([Problem(str(self._path), 1, 1, f"cannot be read: {error}")]) from error
        return parse_oncall(text, str(self._path))
