"""Files of who is on call that lint calls well by construction."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from well_files import DAY, Said, some, spans

from paramedic.oncall.escalation import ONCALL

ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")
EVERY = {"1 day": timedelta(days=1), "1 week": timedelta(weeks=1)}


@st.composite
def starts(draw: st.DrawFn) -> Said:
    """A local time; hours that a zone skips or has twice among them."""
    odd = [datetime.fromisoformat(at) for at in ("2025-10-26T02:30", "2026-03-29T02:30", "2026-03-08T02:30")]
    first = datetime.fromisoformat("2025-11-01T00:00")
    usual = st.integers(0, 90 * 24 * 60).map(lambda minutes: first + timedelta(minutes=minutes))
    at = draw(st.sampled_from(odd) | usual)
    form = draw(st.sampled_from(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:00"]))
    return Said(at.strftime(form), at)


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.lists(st.sampled_from(["ada", "ben", "zoé 1"]), min_size=1, unique=True))
    found = {}
    for number, person in enumerate(ids):
        mailbox = draw(
            st.sampled_from([f"p{number}@example.org", f"a+{number}@bücher.example", f"p{number}@[127.0.0.1]"])
        )
        ways = st.lists(st.sampled_from([f"email:{mailbox}", "webhook:ops", "webhook:b.2"]), min_size=1, unique=True)
        reached = draw(st.just({"email": mailbox}) | ways.map(lambda words: {"ways": Said(words, tuple(words))}))
        found[person] = {"name": f"{draw(st.sampled_from(['Ada', 'Zoé O.']))} {number}"} | reached
        found[person] |= some(draw, {"zone": st.sampled_from(ZONES)})
    return found


@st.composite
def steps(draw: st.DrawFn, ids: list[str]) -> list[dict[str, Any]]:
    tells = st.sampled_from([ONCALL, *ids])
    waits = st.fixed_dictionaries({}, optional={"after": spans(timedelta(0), 7 * DAY)})
    return [{"tell": draw(tells)} | draw(waits) for _ in range(draw(st.integers(1, 2)))]


@st.composite
def oncalls(draw: st.DrawFn) -> dict[str, Any]:
    """oncall.yaml."""
    found = draw(people())
    ids = list(found)
    turns = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3))
    policies = {}
    for name in ["default", *draw(st.sampled_from([[], ["on weekends"]]))]:
        each = {"critical": draw(steps(ids)), "warning": draw(steps(ids))}
        rungs: dict[str, Any] = draw(st.sampled_from([{"rungs": draw(steps(ids))}, each]))
        keys = {
            "repeat": spans(timedelta(seconds=1), 7 * DAY),
            "acknowledged_for": spans(timedelta(seconds=1), 30 * DAY),
        }
        policies[name] = rungs | some(draw, keys)
    rotation = {
        "zone": draw(st.sampled_from(ZONES)),
        "starts": draw(starts()),
        "every": draw(st.sampled_from([Said(text, span) for text, span in EVERY.items()])),
        "people": Said(turns, tuple(turns)),
    }
    return {"people": found, "rotation": rotation, "policies": policies}
