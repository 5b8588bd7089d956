"""Hours and freezes: when a runbook may act at all, by the clock and calendar of a zone."""

from collections.abc import Iterable
from datetime import datetime

from paramedic.machine.clock import iso
from paramedic.remediation.guardrail import OUT_OF_HOURS, About, Case, Guardrail, No, Written
from paramedic.text.local_span import LocalSpan, WrittenSpans
from paramedic.text.local_time import LocalTime


def within(spans: Iterable[LocalSpan], at: datetime) -> LocalSpan | None:
    """The hours that the moment lies in, read as short as they can be; None where it lies in none."""
    return next((span for span in spans if span.covering(at, widest=False) is not None), None)


def _out_of_hours(case: Case, _seen: None, hours: tuple[LocalSpan, ...]) -> No | None:
    if within(hours, case.now) is not None:
        return None
    begins = min(filter(None, (span.next_after(case.now) for span in hours)), default=None)
    again = "they are over for good" if begins is None else f"the next begin at {iso(begins)}"
    return No(
        f"it is {LocalTime(hours[0].zone).moment(case.now)}, and it acts only within {_named(hours)}: {again}",
        f"{case.by_hand}. To be asked out of hours from now on, write `approval: {OUT_OF_HOURS}`",
    )


def _in_hours(case: Case, _seen: None, hours: tuple[LocalSpan, ...]) -> str:
    found = within(hours, case.now)
    return f"outside of {_named(hours)}" if found is None else f"within {found.text}"


def _frozen(case: Case, _seen: None, freezes: tuple[LocalSpan, ...]) -> No | None:
    for span in freezes:
        stretch = span.covering(case.now, widest=True)
        if stretch is not None:
            return No(f"nothing is changed within {span.text}: until {iso(stretch.ends)}", case.by_hand)
    return None


def _unfrozen(_case: Case, _seen: None, freezes: tuple[LocalSpan, ...]) -> str:
    return f"not within {_named(freezes)}"


def _named(spans: tuple[LocalSpan, ...]) -> str:
    return ", ".join(span.text for span in spans)


HOURS_KEY = Written("hours", WrittenSpans, "Mon-Fri 08:00 to 18:00 Europe/Berlin")
FREEZE_KEY = Written("freeze", WrittenSpans, "Fri 16:00 to Mon 08:00 Europe/Berlin")

FREEZE_RULE = Guardrail(
    "freeze",
    _frozen,
    About(
        "the clock, in the zone of the stretch that the runbook names",
        "which freeze, and until when",
        "act by the Mitigation, or wait until it ends: nobody is asked during a freeze",
    ),
    yes=_unfrozen,
    written=FREEZE_KEY,
)

HOURS_RULE = Guardrail(
    "hours",
    _out_of_hours,
    About(
        "the clock, in the zone of the hours that the runbook names",
        "what time it is there, which hours it acts within, and when the next begin",
        "act by the Mitigation; `approval: out-of-hours` asks a person instead of refusing",
    ),
    yes=_in_hours,
    written=HOURS_KEY,
)
