"""oncall.yaml as it is now, or as it was last fit to be used: all of the library that telling needs."""

import logging

from paramedic.oncall.escalation import Oncall, parse_oncall
from paramedic.settings import Settings
from paramedic.text.last_usable import last_good, parsed
from paramedic.text.yaml_document import BadDocument, Problem

log = logging.getLogger(__name__)


class OncallFile:
    """Read again at each look. A file that cannot be used changes nothing: the last good one stands."""

    def __init__(self, settings: Settings) -> None:
        """Raises BadDocument where neither the file nor its copy can be used: nobody could be told."""
        self._path = settings.runbooks / "oncall.yaml"
        self._copies = settings.last_good()
        self._logged: tuple[Problem, ...] = ()
        self._oncall = self._read()

    @property
    def oncall(self) -> Oncall:
        """Who is on call."""
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
        """Once for each way in which it is broken."""
        if problems and problems != self._logged:
            log.error("the last good one is used: %s", "\n".join(map(str, problems)))
        self._logged = problems
