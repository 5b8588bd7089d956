"""A line that must not come in a log of the target's machine, or one that must come within the window."""

from collections import deque
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.log_source import FILE, JOURNAL, Source, kept
from paramedic.kinds.log_source import subject as log_of
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.machine.clock import spoken
from paramedic.text.linear_search import linear_search
from paramedic.text.quantity import Unit

CHECK = ("log_pattern",)
ABOUT = (
    "a line in a log of the target's machine (`file:`, `journal:`, or the target's own `log`): one that `must_not:` come, in "
    "`matches` how often it did within the `window` (10m); or one that `must:` come within it, of which `missing` is 1"
)
METRICS = (
    Metric("matches", (Unit.COUNT,), critical="1", held_for=timedelta(0)),
    Metric("missing", (Unit.COUNT,), critical="1", at_most="1", held_for=timedelta(0)),
)
WINDOW = timedelta(minutes=10)
BY_TRANSPORT = True
OPTIONS = (
    FILE,
    JOURNAL,
    Option("must_not", "^.{1,2000}$", "for a line that must not come: a regular expression (RE2)", as_it_is=True),
    Option(
        "must", "^.{1,2000}$", "for a line that must come within the window: a regular expression (RE2)", as_it_is=True
    ),
)

#: So many lines that match are remembered: more are as many.
_MOST = 10_000


def subject(written: Written) -> str:
    """The log; nothing where it is the target's own. Raises ValueError where it names no line, or both."""
    named = [key for key in ("must", "must_not") if key in written.options]
    if len(named) != 1:
        raise ValueError("name the line: one of `must_not: ERROR` and `must: backup done`")
    linear_search(written.options[named[0]])
    return log_of(written.options) or ""


def look(question: Question) -> Seen:
    """The lines of the window. Raises TemporaryError or PermanentError where the log cannot be read, or says too little."""
    where = question.where or question.target.log
    if where is None:
        raise PermanentError(f"name the log: `file:` in the check, or `log` of {question.target.id} in services.yaml")
    key = ("log_pattern", question.target.id, where, repr(sorted(question.options.items())))
    return kept(key, lambda: _Lines(where, question)).look(question)


class _Lines:
    """One log, read on from look to look, and when the line has come."""

    def __init__(self, where: str, question: Question) -> None:
        self._where = where
        self._must = question.options.get("must")
        self._search = linear_search(self._must or question.options["must_not"])
        self._came: deque[float] = deque(maxlen=_MOST)
        self._known_from = float("inf")  # nothing of the log from then on was left out
        self._longest = 0.0

    def look(self, question: Question) -> Seen:
        """What is new is searched; how often the line came within the window."""
        window = question.window.total_seconds()
        if window > self._longest:
            self._source, self._longest = Source(self._where), window
            self._came.clear()
            self._known_from = float("inf")
        found = self._source.read(question)
        if self._known_from == float("inf"):
            first = next((at for line in found.lines if (at := found.at(line)) is not None), found.now)
            self._known_from = float("-inf") if found.from_begin else first
        self._came.extend(at for line in found.lines if self._search.is_in(line) and (at := found.at(line)) is not None)
        begins = found.now - (question.now - question.begins_at()).total_seconds()
        count = sum(at >= begins for at in self._came)
        said = "; ".join((f"{count:,} such lines within {spoken(question.window)} in {self._where}", *found.notes))
        if self._must is None:
            return {"matches": float(count), "missing": 0.0}, said
        missing = count == 0 and begins <= found.now - window + 1
        if missing and self._known_from > begins:
            raise TemporaryError(f"what {self._where} said before {spoken(question.window)} were over is not known yet")
        return {"matches": 0.0, "missing": float(missing)}, said
