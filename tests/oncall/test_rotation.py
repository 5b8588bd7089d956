"""Who is on call, summer and winter; whom a rung means, and how long until the next."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paramedic.alerts.alert import Severity
from paramedic.oncall.on_call import Oncall
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.oncall.rotation import Rotation
from paramedic.text.yaml_document import BadDocument

GOOD = (Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text()
WEEK, DAY = timedelta(weeks=1), timedelta(days=1)


@pytest.fixture
def oncall() -> Oncall:
    return parse_oncall(GOOD, "oncall.yaml")


@pytest.mark.parametrize(
    ("at", "who"),
    [
        (datetime(2026, 1, 5, 7, 59, tzinfo=UTC), None),  # Berlin is UTC+1: not nine yet
        (datetime(2026, 1, 5, 8, 0, tzinfo=UTC), "ada"),
        (datetime(2026, 1, 12, 7, 59, tzinfo=UTC), "ada"),
        (datetime(2026, 1, 12, 8, 0, tzinfo=UTC), "ben"),
        (datetime(2026, 1, 19, 8, 0, tzinfo=UTC), "ada"),
        # On 29 March the clocks go forward: nine in Berlin is seven in UTC from then on.
        (datetime(2026, 3, 30, 6, 59, tzinfo=UTC), "ben"),
        (datetime(2026, 3, 30, 7, 0, tzinfo=UTC), "ada"),
        # On 25 October they go back.
        (datetime(2026, 10, 26, 7, 59, tzinfo=UTC), "ben"),
        (datetime(2026, 10, 26, 8, 0, tzinfo=UTC), "ada"),
    ],
)
def test_turns_change_at_nine_in_berlin_whatever_the_clocks_do(oncall: Oncall, at: datetime, who: str | None) -> None:
    assert oncall.rotation.who(at) == who


def test_every_moment_of_two_years_has_exactly_one_person() -> None:
    daily = Rotation("America/New_York", "2026-01-05 02:30", DAY, ("a", "b", "c"))
    at, seen = datetime(2026, 1, 6, tzinfo=UTC), []
    while at < datetime(2028, 1, 6, tzinfo=UTC):
        seen.append(daily.who(at))
        at += timedelta(hours=1)
    turns = [len(list(run)) for run in _runs(seen)][1:-1]
    assert set(turns) <= {23, 24, 25}


def _runs(seen: list[str | None]) -> list[list[str | None]]:
    runs: list[list[str | None]] = []
    for person in seen:
        if not runs or runs[-1][-1] != person:
            runs.append([])
        runs[-1].append(person)
    return runs


def test_rungs_climb_and_the_last_repeats(oncall: Oncall) -> None:
    policy = oncall.policy("default")
    assert [policy.step(number).tell for number in range(4)] == ["oncall", "ben", "ben", "ben"]
    assert policy.wait_after(0) == timedelta(minutes=15)
    assert policy.wait_after(1) == policy.wait_after(7) == timedelta(minutes=30)


BY_SEVERITY = """\
    critical: [{tell: oncall}, {tell: ben, after: 5m}]
    warning: [{tell: oncall, after: 10m}]
"""


def by_severity(rungs: str = BY_SEVERITY, rest: str = "") -> str:
    return GOOD[: GOOD.index("    rungs:")] + rungs + rest


def test_each_severity_has_its_own_rungs_or_both_have_the_same() -> None:
    oncall = parse_oncall(by_severity(rest="    acknowledged_for: 1h\n"), "oncall.yaml")
    critical, warning = (oncall.policy("default", severity) for severity in (Severity.CRITICAL, Severity.WARNING))
    assert [step.tell for step in critical.steps] == ["oncall", "ben"]
    assert [(step.tell, step.after) for step in warning.steps] == [("oncall", timedelta(minutes=10))]
    assert critical.acknowledged_for == warning.acknowledged_for == timedelta(hours=1)
    same = parse_oncall(GOOD, "oncall.yaml")
    assert same.policy("default", Severity.WARNING) == same.policy("default", Severity.CRITICAL)
    assert same.policy("default").acknowledged_for == timedelta(hours=4)


@pytest.mark.parametrize(
    "rungs",
    [
        "    repeat: 5m\n",
        "    critical: [{tell: oncall}]\n",
        "    rungs: [{tell: oncall}]\n    warning: [{tell: ben}]\n",
        "    rungs: [{tell: oncall}]\n" + BY_SEVERITY,
    ],
)
def test_a_severity_without_rungs_or_with_two_sets_of_them_is_refused(rungs: str) -> None:
    with pytest.raises(BadDocument, match=r"policies.default: write either `rungs`, for both severities, or"):
        parse_oncall(by_severity(rungs), "oncall.yaml")


def test_a_policy_that_is_gone_is_the_default(oncall: Oncall) -> None:
    assert oncall.policy("gone").name == "default"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("people: [ada, ben]", "people: [ada, eve]", "eve, who is not among the people"),
        ("tell: ben", "tell: eve", "eve, who is not among the people"),
        ("default:", "other:", "no policy `default`"),
        ("Europe/Berlin", "Europe/Atlantis", "no zone 'Europe/Atlantis'"),
        ("every: 1 week", "every: 5 days", "write one of 1 day, 1 week"),
        ("starts: 2026-01-05 09:00", "starts: Monday", "rotation.starts"),
        ("email: ada@example.org", "email: ada@example.org>,<eve@example.org", "people.ada.email"),
        ("repeat: 30m", "repat: 30m", "did you mean repeat?"),
        ("repeat: 30m", "repeat: 0s", "policies.default.repeat: '0s' is too short; allowed: from 1s to 7d"),
        ("repeat: 30m", "acknowledged_for: 0h", "acknowledged_for: '0h' is too short; allowed: from 1s to 30d"),
    ],
)
def test_what_is_wrong_is_said(before: str, after: str, says: str) -> None:
    assert before in GOOD
    with pytest.raises(BadDocument) as caught:
        parse_oncall(GOOD.replace(before, after, 1), "oncall.yaml")
    assert says in str(caught.value)


WAYS = 'ways: ["webhook:ops", "email:ada@example.org", "apprise:chat"]'


def test_people_have_their_ways_in_order() -> None:
    people = parse_oncall(GOOD.replace("email: ada@example.org", WAYS), "oncall.yaml").people
    assert [str(way) for way in people["ada"].contact_methods] == [
        "webhook:ops",
        "email:ada@example.org",
        "apprise:chat",
    ]
    assert [str(way) for way in people["ben"].contact_methods] == ["email:ben@example.org"]


@pytest.mark.parametrize(
    "way",
    [
        "ada@example.org",
        "email:ada",
        "email:a@b,c@d",
        "sms:+49",
        "webhook:",
        "webhook:https://h/secret",
        "apprise:slack://T/B",
    ],
)
def test_a_way_is_an_address_or_the_name_of_a_channel_never_its_url(way: str) -> None:
    with pytest.raises(BadDocument, match=r"people.ada.ways.0: .* is not a contact method.* write .*"):
        parse_oncall(GOOD.replace("email: ada@example.org", f'ways: ["{way}"]'), "oncall.yaml")


def test_an_address_beside_the_ways_leaves_their_order_open_and_is_refused() -> None:
    with pytest.raises(BadDocument, match="people.ada: write `email` or `ways`, not both"):
        parse_oncall(GOOD.replace("email: ada@example.org", f"email: ada@example.org, {WAYS}"), "oncall.yaml")


def test_people_without_any_address_are_a_fault() -> None:
    import re

    with pytest.raises(BadDocument, match="nobody has an address"):
        parse_oncall(re.sub(r", email: \S+@example.org", "", GOOD), "oncall.yaml")
