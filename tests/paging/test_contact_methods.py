"""By which way a person is told: the first that takes it, and what became of the others is on the trail."""

from datetime import timedelta

import pytest
from databases import Clock
from incident_states import Paging, handed_over, pager_entries, unwritable
from mail_server import Postbox
from pydantic import SecretStr
from webhook_receiver import Hooks, is_signed

from paramedic.settings import Channel
from paramedic.store import Store, lifecycle, messages

pytestmark = pytest.mark.real

PEOPLE = """\
people:
  ada: {name: Ada, ways: ["webhook:ops", "email:ada@example.org", "apprise:chat"]}
  bob: {name: Bob, email: bob@example.org}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}, {tell: bob, after: 10m}], repeat: 30m}
"""


def test_the_first_way_that_takes_it_is_the_only_one(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, chat: Hooks
) -> None:
    incident = handed_over(timed)
    assert paging().deliver_due() == 1
    [(_, headers, body)] = hooks.posted
    assert is_signed(headers, body)
    [payload] = hooks.payloads
    assert payload["type"] == "paramedic.page"
    for form in ("text", "short"):
        assert "/ack/" in payload["data"].pop(form)
    assert payload["data"] == {
        "to": "ada",
        "subject": f"[critical] tracking-api on web-1: TrackingApiMemory, handed over ({incident.id})",
        "store": timed.uuid,
        "incident": incident.id,
        "severity": "critical",
        "service": "tracking-api",
        "target": "web-1/tracking-api",
    }
    assert (postbox.letters, chat.posted) == ([], [])
    assert pager_entries(timed) == [("person.told", "ada was told by webhook:ops")]


def test_a_way_that_says_no_is_left_for_the_next_at_once(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, chat: Hooks
) -> None:
    handed_over(timed)
    hooks.says = 410
    postbox.says["*"] = "550 5.1.1 no such person"
    assert paging().deliver_due() == 1
    assert (len(hooks.posted), len(chat.posted)) == (1, 1)
    [(what, reason)] = pager_entries(timed)
    assert what == "person.told"
    assert reason.startswith(
        "ada was told by apprise:chat, after webhook:ops: the webhook answered 410; email: the mail"
    )
    assert "ada@example.org" not in reason, "people appear by id"


def test_a_person_whose_every_way_says_no_is_passed_over_and_the_trail_says_of_each(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    handed_over(timed)
    hooks.says = 404
    postbox.says["ada@example.org"] = "550 5.1.1 no such person"
    pager = paging(channels={"ops": Channel(url=SecretStr(hooks.url))})
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"]
    reason = pager_entries(timed)[0][1]
    for words in ("webhook:ops: the setting channels.ops has no `secret`", "email: the mail server answered 550",
                  "apprise:chat: the setting `channels` names no chat"):  # fmt: skip
        assert words in reason


def test_a_way_that_says_later_is_left_for_the_next_at_once(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    handed_over(timed)
    hooks.says = 503
    assert paging().deliver_due() == 1
    assert postbox.recipients == ["ada@example.org"]
    assert pager_entries(timed) == [
        ("person.told", "ada was told by email, after webhook:ops: the webhook answered 503")
    ]


def test_ways_that_all_say_later_are_tried_again_each_with_the_message_s_own_id(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, chat: Hooks, clock: Clock
) -> None:
    incident = handed_over(timed)
    hooks.says = chat.says = 503
    postbox.says["ada@example.org"] = "451 4.7.1 later"
    pager = paging()
    for tries, (waited, pause) in enumerate(((0, 5), (5, 15), (15, 60)), 1):
        clock.advance(timedelta(seconds=waited))
        assert pager.deliver_due() == 0
        assert (len(hooks.posted), postbox.recipients) == (tries, [])
        with timed.read() as tx:
            assert messages.of(tx, incident.number)[0].due_at - clock.now() == timedelta(seconds=pause)
    assert pager.deliver_due() == 1
    assert postbox.recipients == ["bob@example.org"], "after three tries the next rung is told as well, at once"
    assert len(hooks.posted) == 3
    hooks.says = 204
    clock.advance(timedelta(minutes=1))
    assert pager.deliver_due() == 1, "and the first is still told"
    assert len(hooks.posted) == 4
    assert len({headers["webhook-id"] for _, headers, _ in hooks.posted}) == 1, "a repeat is known by its id"


def test_a_way_that_asks_for_a_long_wait_keeps_no_other_waiting(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    handed_over(timed)
    hooks.says, hooks.with_headers = 429, {"Retry-After": "3600"}
    assert paging().deliver_due() == 1
    assert postbox.recipients == ["ada@example.org"]


def test_the_only_way_that_asks_for_a_wait_gets_it_within_bounds(
    timed: Store, paging: Paging, hooks: Hooks, clock: Clock
) -> None:
    incident = handed_over(timed)
    one_way = PEOPLE.replace(', "email:ada@example.org", "apprise:chat"', "")
    for asked, pause in (("90", 90), ("86400", 300), ("1", 60)):
        hooks.says, hooks.with_headers = 429, {"Retry-After": asked}
        assert paging(one_way).deliver_due() == 0
        with timed.read() as tx:
            row = messages.of(tx, incident.number)[0]
        assert row.due_at - clock.now() == timedelta(seconds=pause), asked
        clock.advance(row.due_at - clock.now())


def test_slow_ways_hold_the_message_and_nobody_else_begins_with_it(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks, clock: Clock
) -> None:
    handed_over(timed)
    hooks.says = 404
    hooks.arriving = lambda: clock.advance(timedelta(seconds=25))

    def another_watchdog() -> None:
        clock.advance(timedelta(seconds=25))
        assert paging().deliver_due() == 0

    postbox.arriving = another_watchdog
    assert paging().deliver_due() == 1
    assert (len(hooks.posted), len(postbox.letters)) == (1, 1)


def test_who_takes_it_between_two_ways_is_not_paged_by_the_second(
    timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    incident = handed_over(timed)
    hooks.says = 404

    def taken() -> None:
        with timed.record() as tx:
            lifecycle.acknowledge(tx, incident.number, by="ada", reason="on the command line")

    hooks.arriving = taken
    assert paging().deliver_due() == 0
    assert postbox.letters == []


def test_a_store_that_cannot_be_written_stops_no_second_way(
    store_url: str, timed: Store, paging: Paging, postbox: Postbox, hooks: Hooks
) -> None:
    handed_over(timed)
    hooks.says = 404
    with unwritable(store_url):
        timed.close()
        assert paging().deliver_due() == 1
    assert postbox.recipients == ["ada@example.org"]


def test_trouble_of_our_own_waits_for_no_way(paging: Paging, postbox: Postbox, hooks: Hooks) -> None:
    hooks.says = 503
    assert paging().page_directly("the store does not answer", "It is gone.")
    assert postbox.recipients == ["ada@example.org"]
