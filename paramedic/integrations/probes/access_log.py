"""What an access log of the target's machine shows of its users' own requests: rate, share of errors, times."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds.access_log import UNITS, Request, RequestWindow, Seen, combined, in_json
from paramedic.kinds.log_source import FILE, JOURNAL, Source, kept
from paramedic.kinds.log_source import subject as log_of
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, Question, Written
from paramedic.kinds.probing import Seen as Values
from paramedic.machine.clock import spoken
from paramedic.text.linear_search import LinearSearch, linear_search
from paramedic.text.quantity import Unit

_RANKS = (50, 90, 95, 99)

#: Fewer requests count as so many, unless the author says otherwise: one error at night is not 100%.
_LEAST = 20

CHECK = ("access_log",)
ABOUT = (
    "the requests in an access log of the target's machine, within the `window` (1m): `file:`, `journal:`, or the target's own "
    "`log`; `error_rate` and `latency_p95` are of its users' requests, `rate` is a second's, `unread` the lines that are none"
)
METRICS = (
    Metric("error_rate", (Unit.PERCENT,), warning="1%", critical="3%", at_most="100%"),
    *(Metric(f"latency_p{rank}", (Unit.SECONDS,), at_most="5m") for rank in _RANKS),
    Metric("rate", (Unit.COUNT,)),
    Metric("low_rate", (Unit.COUNT,), below=True, raw={Unit.COUNT: "rate"}),
    Metric("unread", (Unit.PERCENT,), at_most="100%"),
)
WINDOW = timedelta(minutes=1)
BY_TRANSPORT = True
OPTIONS = (
    FILE,
    JOURNAL,
    Option("lines", Literal["combined", "json"], "for how its lines are written: combined, unless it says otherwise"),
    Option(
        "took", "^(last|[A-Za-z_]{1,40}=)$", "for where a combined line has the request's time: last, or behind `rt=`"
    ),
    Option("took_unit", Literal["s", "ms", "us"], "for the unit of the request's time: s; Apache's %D is us"),
    Option(
        "keys",
        dict[Literal["status", "took", "request"], Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,100}$")]],
        "for how the fields of lines of JSON are called",
    ),
    Option(
        "errors",
        list[Annotated[str, Field(pattern=r"^[0-9x]{1,5}$")] | int],
        "for which answers are errors: [5xx], unless it says otherwise",
    ),
    Option(
        "only", "^.{1,2000}$", "for which requests count: a regular expression (RE2) of the request line", as_it_is=True
    ),
    Option("without", "^.{1,2000}$", "for which requests do not count, such as health checks", as_it_is=True),
    Option("at_least", Annotated[int, Field(ge=1, le=100_000)], "for how many requests fewer ones count as: 20"),
)


def subject(written: Written) -> str:
    """The log; nothing where it is the target's own. Raises ValueError for an option that cannot be right."""
    options = written.options
    if options.get("lines") == "json" and "took" in options:
        raise ValueError("`took` is of combined lines; of JSON write `keys: {took: NAME}`")
    if options.get("lines") != "json" and "keys" in options:
        raise ValueError("`keys` are of JSON: write `lines: json` beside them")
    _codes(options.get("errors", ["5xx"]))
    for key in ("only", "without"):
        _search(options.get(key))
    return log_of(options) or ""


def look(question: Question) -> Values:
    """The requests of the window. Raises TemporaryError or PermanentError where the log cannot be read, or is none."""
    where = question.where or question.target.log
    if where is None:
        raise PermanentError(f"name the log: `file:` in the check, or `log` of {question.target.id} in services.yaml")
    key = ("access_log", question.target.id, where, repr(sorted(question.options.items())))
    return kept(key, lambda: _Requests(where, question)).look(question)


class _Requests:
    """One log, read on from look to look, and the requests that a window may still hold."""

    def __init__(self, where: str, question: Question) -> None:
        options = question.options
        self._where = where
        self._read = _reader(question)
        self._errors = _codes(options.get("errors", ["5xx"]))
        self._only, self._without = _search(options.get("only")), _search(options.get("without"))
        self._least = int(options.get("at_least", _LEAST))
        self._longest = 0.0

    def look(self, question: Question) -> Values:
        """What is new is read and counted, and what is too old forgotten."""
        seconds = question.window.total_seconds()
        if seconds > self._longest:
            self._source, self._window, self._longest = Source(self._where), RequestWindow(seconds), seconds
        found = self._source.read(question)
        oldest = found.now - self._longest
        for line in found.lines:
            at = found.at(line)
            if at is None or at < oldest or not line.strip():
                continue
            request = self._read(line)
            if request is None:
                self._window.add_unread(at)
            elif self._counts(request):
                self._window.add(at, error=self._errors(request.status), took=request.took)
        self._window.forget(oldest)
        within = (question.now - question.begins_at()).total_seconds()
        seen = self._window.since(found.now - within, self._least)
        if seen.unread and not seen.requests:
            raise PermanentError(f"none of {seen.unread:,} lines of {self._where} is a request as the check has it")
        return self._values(seen, max(within, 1.0)), self._words(seen, question.window, found.notes)

    def _counts(self, request: Request) -> bool:
        if self._only is not None and not self._only.is_in(request.request):
            return False
        return self._without is None or not self._without.is_in(request.request)

    @staticmethod
    def _values(seen: Seen, seconds: float) -> dict[str, float]:
        timed = {f"latency_p{rank}": took for rank, took in seen.percentiles(_RANKS).items()}
        lines = seen.requests + seen.unread
        return {
            "error_rate": seen.error_rate,
            "rate": seen.requests / seconds,
            "unread": 100 * seen.unread / lines if lines else 0.0,
            **timed,
            **({} if timed or seen.requests else {f"latency_p{rank}": 0.0 for rank in _RANKS}),
        }

    def _words(self, seen: Seen, window: timedelta, notes: Sequence[str]) -> str:
        said = [f"{seen.requests:,} requests within {spoken(window)} by {self._where}, {seen.errors:,} of them errors"]
        said += [f"they count as {self._least}"] if 0 < seen.requests < self._least else []
        said += [f"{seen.unread:,} lines are no request as the check has it"] if seen.unread else []
        said += ["no line says how long a request took"] if seen.requests and not seen.took else []
        return "; ".join([*said, *notes])


def _reader(question: Question) -> Callable[[str], Request | None]:
    options = question.options
    unit = UNITS[options.get("took_unit", "s")]
    if options.get("lines") == "json":
        return lambda line: in_json(line, options.get("keys", {}), unit)
    return lambda line: combined(line, options.get("took"), unit)


def _codes(written: Sequence[str | int]) -> Callable[[int], bool]:
    """Which answers are errors. Raises ValueError."""
    codes, classes = set[int](), set[int]()
    for one in written:
        text = str(one)
        if len(text) == 3 and text[0] in "12345" and text[1:] == "xx":
            classes.add(int(text[0]))
        elif len(text) == 3 and text.isdecimal() and text[0] in "12345":
            codes.add(int(text))
        else:
            raise ValueError(f"{text!r:.40} is no status: write 503, or 5xx")
    return lambda status: status in codes or status // 100 in classes


def _search(pattern: str | None) -> LinearSearch | None:
    return None if pattern is None else linear_search(pattern)
