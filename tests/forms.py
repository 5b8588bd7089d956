"""How much of the tests is played: what every machine has time for, all that a change is judged by, or the long campaigns too."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

#: The markers that decide. A test of the kill table without one of the last two is in the short form, every other test in all.
KILL, COSTLY, SENTINEL, LONG = "kill", "costly", "sentinel", "long"


class Form(StrEnum):
    """Each with the command that plays it."""

    SENTINELS = "make test"
    SHORT = "bash .ci/run"
    LONG = "make kill-table"

    def plays(self, markers: Collection[str]) -> bool:
        """Whether a test with these markers is in it."""
        match self:
            case Form.SENTINELS:
                return SENTINEL in markers or not {KILL, COSTLY, LONG} & set(markers)
            case Form.SHORT:
                return LONG not in markers
            case Form.LONG:
                return True


def form(environ: Mapping[str, str] = os.environ) -> Form:
    """LONG_TESTS=1 asks for all of it, REQUIRE_REAL_SERVERS=1 for the short form."""
    if environ.get("LONG_TESTS") == "1":
        return Form.LONG
    return Form.SHORT if environ.get("REQUIRE_REAL_SERVERS") == "1" else Form.SENTINELS


def summary(left_out: Iterable[Collection[str]]) -> str:
    """One line about the tests that were left out, by their markers: how many, and which command plays them."""
    first = Counter(next(each for each in Form if each.plays(markers)) for markers in left_out)
    plays = [f"{first[each]} that `{each}` plays" for each in Form if each in first]
    return f"left out {' and '.join(plays)}" if plays else ""


#: `make quick` plays this share of the examples of a property test, every other form all of them.
_FEW = 5


def examples(count: int, environ: Mapping[str, str] = os.environ) -> int:
    """How many examples of a property test are played, of so many: QUICK_TESTS=1 asks for few."""
    return max(1, count // _FEW) if environ.get("QUICK_TESTS") == "1" else count
