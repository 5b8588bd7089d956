"""Checks that ask a server for a number: their keys, their metrics, and which of several numbers counts."""

import math
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds.logins import Login
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.text.quantity import Unit
from paramedic.text.sanitize import one_line

#: So many numbers of one answer are compared.
_MOST = 1000

_UNITS = (Unit.COUNT, Unit.PERCENT, Unit.SECONDS, Unit.BYTES)


def _number(name: str, which: str, *, below: bool = False) -> Metric:
    """A metric of whatever is asked for: a bound is a number as it is, a time in seconds, a size in bytes, or 5% for 0.05."""
    raw = dict.fromkeys(_UNITS, which) | {Unit.PERCENT: f"{which}_percent"}
    return Metric(name, _UNITS, below=below, raw=raw, held_for=timedelta(0))


#: `value` is too much, and of several numbers the highest; `value_below` is too little, and the lowest.
METRICS = (_number("value", "highest"), _number("value_below", "lowest", below=True))

#: What is asked. It has braces of its own (PromQL), beside which `{host}` is the target's host.
QUERY = Option(
    "query",
    Annotated[str, Field(pattern=r"\S", max_length=10_000)],
    "what is asked, in the server's own language; {host} is the target's host",
)
SERVER = Option(
    "server", r"^https?://[^\s@?#]{1,500}$", "the address that is asked without a login: http://prometheus:9090"
)
LOGIN = Option("login", r"^[A-Za-z0-9_.-]{1,100}$", "the name in the setting `logins` of its address and key")


def needs_a_query(written: Written) -> str:
    """What is asked, as the subject of a check. Raises ValueError where its author writes none."""
    query = written.options.get("query")
    if query is None:
        raise ValueError("name a `query`: what is asked, in the server's own language")
    return str(query)


def misfits(written: Written) -> Iterator[tuple[str, str]]:
    """Keys that do not go together, each with the words for it."""
    if {"server", "login"} <= set(written.options):
        yield "server", "a login is sent to its own address alone: write `url` beside its key in the setting `logins`"


def address(question: Question, kind: str) -> tuple[str, Login]:
    """The server's address, without a slash at its end, and the login for it: an empty one where the check names a `server`.

    Raises PermanentError where the settings have no such login, or it has no `url`.
    """
    if (server := question.options.get("server")) is not None:
        return str(server).rstrip("/"), Login()
    name = question.options.get("login", kind)
    login = question.login(name)
    if not login.url:
        raise PermanentError(f"the setting logins.{name} has no `url`: the address of the server")
    return login.url.rstrip("/"), login


def needed(question: Question, kind: str, *keys: str) -> tuple[Login, list[str]]:
    """The check's login, and its values for these keys. Raises PermanentError where the settings lack any of it."""
    name = question.options.get("login", kind)
    login = question.login(name)
    given = login.given()
    if missing := [key for key in keys if key not in given]:
        raise PermanentError(f"the setting logins.{name} has no `{'` and no `'.join(missing)}`")
    return login, [given[key] for key in keys]


def seen(numbers: Iterable[tuple[str, float]], *, notes: Iterable[str] = ()) -> Seen:
    """The raw values of METRICS from the numbers of an answer, each with the name of what it is of ("" where there is one alone).

    What is not a number (NaN, infinite) counts for nothing. Raises PermanentError where none is left: no data is neither well nor
    broken.
    """
    found = list(numbers)
    if len(found) > _MOST:
        raise PermanentError(
            f"the answer has {len(found):,} values, and at most {_MOST:,} are compared: aggregate them"
        )
    good = [(name, value) for name, value in found if math.isfinite(value)]
    if not good:
        what = ", ".join(sorted({str(value) for _, value in found})) or "it is empty"
        raise PermanentError(f"the answer has no data: {what}")
    (low_name, lowest), (high_name, highest) = (pick(good, key=lambda each: each[1]) for pick in (min, max))
    values = {"highest": highest, "highest_percent": 100 * highest, "lowest": lowest, "lowest_percent": 100 * lowest}
    if len(found) == 1:
        words = _spoken(highest)
    else:
        words = f"{len(good)} values, from {_spoken(lowest)} ({_short(low_name)}) to {_spoken(highest)} ({_short(high_name)})"
    if left := len(found) - len(good):
        words += f"; {left} more that {'is' if left == 1 else 'are'} no number"
    return values, "; ".join([words, *notes])


def _spoken(value: float) -> str:
    return f"{value:.6g}"


def _short(name: str) -> str:
    return one_line(name)[:100] or "without a name"
