"""What was measured before a remedy and after it, and what is clearly worse."""

import pytest

from paramedic.remediation.figures import Figure, Measured, before, compare
from paramedic.text.quantity import Unit

ERRORS = "error_rate of shop-errors/health"


def errors(*raw: int) -> Measured:
    return Measured(ERRORS, Unit.PERCENT, below=False, value=100 * sum(raw) / len(raw), raw=raw)


def compared(then: Measured, now: Measured) -> Figure:
    [figure] = compare(before([then]), {then.name: then}, {now.name: now})
    return figure


def test_a_figure_has_both_sides_in_words_and_as_plain_values() -> None:
    figure = compared(errors(0, 0, 1, 0), errors(0, 0, 0, 0))
    assert figure.words == "error_rate of shop-errors/health: 25% before, 0% after"
    assert Figure.from_json(figure.as_json()) == figure
    assert figure.as_json()["unit"] == "percent"


@pytest.mark.parametrize(
    ("then", "now", "worse"),
    [
        ([0] * 18 + [1] * 2, [1] * 12, True),
        ([1] * 10, [1] * 10, False),  # as bad as before
        ([1, 1, 0, 1, 0, 1, 1, 0, 1, 1], [1, 1, 1, 0, 1, 1, 1, 1, 1, 1], False),  # it differs from look to look
        ([0, 1] * 2, [1] * 12, False),  # too few before
        ([0] * 20, [1] * 4, False),  # too few since
        ([1] * 10, [0] * 10, False),  # better
    ],
)
def test_worse_is_what_is_clearly_worse(then: list[int], now: list[int], *, worse: bool) -> None:
    figure = compared(errors(*then), errors(*now))
    assert figure.worse is worse
    assert ("which is worse" in figure.words) is worse


def test_of_what_is_bad_when_it_is_small_less_is_worse() -> None:
    many, few = (Measured("days", Unit.COUNT, below=True, value=v, raw=[v] * 8) for v in (30.0, 2.0))
    assert compared(many, few).worse
    assert not compared(few, many).worse


def test_what_was_measured_on_one_side_alone_is_never_worse() -> None:
    then, now = errors(*[0] * 20), errors(*[1] * 20)
    [gone] = compare(before([then]), {ERRORS: then}, {})
    assert (gone.words, gone.worse) == (f"{ERRORS}: 0% before, not measured after", False)
    [new] = compare([], {}, {ERRORS: now})
    assert (new.words, new.worse) == (f"{ERRORS}: not measured before, 100% after", False)


def test_one_value_of_the_memory_is_a_figure_and_never_worse() -> None:
    then, now = (Measured("resident memory", Unit.BYTES, below=False, value=v) for v in (160e6, 900e6))
    assert compared(then, now).words == "resident memory: 160MB before, 900MB after"
