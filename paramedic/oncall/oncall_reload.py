"""Reloads oncall.yaml, with the last good copy as fallback: the one part of the library that paging needs."""

import logging

from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.settings import Settings
from paramedic.text.last_usable import last_good, parsed
from paramedic.text.yaml_document import BadDocument, Problem

log = logging.getLogger(__name__)


class OncallFile:
    """oncall.yaml, read again at each access. A file that cannot be used changes nothing: the last good one stays in force."""

    def __init__(self, settings: Settings) -> None:
        """Raises BadDocument where neither the file nor its copy can be used: nobody could be paged."""
        self._path = settings.runbooks / "oncall.yaml"
        self._copies = settings.last_good()
        self._logged: tuple[Problem, ...] = ()
        self._oncall = self._read()

    @property
    def oncall(self) -> Oncall:
        """The current on-call data."""
        try:
            self._oncall = self._read()
        except BadDocument as error:
            self._log(error.problems)
        return self._oncall

    def _read(self) -> Oncall:
        text, problems = last_good(self._path, self._copies, parse_oncall)
        self._log(problems)
        return parsed(parse_oncall, text, str(self._path))

    def _log(self, problems: tuple[Problem, ...]) -> None:
        """Log each new set of problems once."""
        if problems and problems != self._logged:
            log.error("the last good copy of oncall.yaml is used: %s", "\n".join(map(str, problems)))
        self._logged = problems


class OncallIfKnown:
    """Called, it says who is on call by the file as it is then; None where that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file: OncallFile | None = None

    def __call__(self) -> Oncall | None:
        """For what is shown of an incident: without the file it is shown all the same."""
        try:
            self._file = self._file or OncallFile(self._settings)
        except (BadDocument, OSError):
            return None
        return self._file.oncall
