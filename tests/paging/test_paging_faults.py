"""What goes wrong while people are told: a mail server away, nobody to tell, a store that cannot be written, a fault of ours."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from incident_states import PEOPLE, Paging, handed_over, on_call, pager_entries, queued, unwritable
from mail_server import Postbox, text_of
from pydantic import SecretStr

from paramedic.demo.world import free_port
from paramedic.paging import Pager
from paramedic.paging.recipients import Recipients
from paramedic.settings import Settings
from paramedic.store import Store, messages
from paramedic.store.messages import QueuedMessage
from paramedic.text import redaction

pytestmark = pytest.mark.real


def test_a_mail_server_that_is_away_is_asked_again_and_the_next_rung_is_told_as_well(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = by_mail()
    postbox.says["*"] = "451 4.7.1 later"
    waits = []
    for _ in range(3):
        assert pager.deliver_due() == 0
        row = queued(timed, incident)[0]
        waits.append((row.due_at - clock.now()).total_seconds())
        clock.advance(row.due_at - clock.now())
    assert waits == [5, 15, 60]
    assert [row.step for row in queued(timed, incident)] == [0, 1]
    for _ in range(40):  # an outage of the mail server climbs no pile
        pager.deliver_due()
        clock.advance(timedelta(minutes=5))
    assert [row.state for row in queued(timed, incident)] == ["due", "due"]
    postbox.says.clear()
    assert pager.deliver_due() == 2
    assert postbox.recipients == ["ada@example.org", "bob@example.org"]
    assert [(row.step, row.state) for row in queued(timed, incident)] == [(0, "sent"), (1, "sent"), (2, "due")]


def test_a_person_who_cannot_be_reached_is_passed_over_at_once(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    handed_over(timed)
    pager = by_mail()
    postbox.says["ada@example.org"] = "550 5.1.1 no such person"
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"]
    assert [what for what, _ in pager_entries(timed)] == ["person.unreachable", "person.told"]
    assert "ada cannot be told: email: the mail server answered 550" in pager_entries(timed)[0][1]


@pytest.mark.parametrize(
    "oncall_yaml",
    [
        PEOPLE.replace("2026-01-05", "2027-01-04"),  # nobody is on call yet
        PEOPLE.replace("people: [ada]", "people: [eve]"),  # who has no address
    ],
)
def test_nobody_on_call_means_the_next_rung_at_once(
    timed: Store, by_mail: Paging, postbox: Postbox, oncall_yaml: str
) -> None:
    handed_over(timed)
    pager = by_mail(oncall_yaml)
    pager.deliver_due()
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"]
    assert pager_entries(timed)[0] == ("person.unreachable", "oncall is nobody who can be told now")


def test_a_policy_that_reaches_nobody_is_climbed_again_and_again(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = by_mail()
    postbox.says["*"] = "550 5.1.1 no such person"
    for _ in range(5):
        pager.deliver_due()
    assert [(row.step, row.state) for row in queued(timed, incident)] == [
        (0, "unreachable"),
        (1, "unreachable"),
        (0, "due"),
    ]
    clock.advance(timedelta(minutes=30))
    postbox.says.clear()
    pager.deliver_due()
    assert postbox.recipients == ["ada@example.org"]


def test_without_a_mail_server_the_trail_says_that_nobody_was_told(timed: Store, by_mail: Paging) -> None:
    handed_over(timed)
    by_mail(smtp_url=None).deliver_due()
    assert pager_entries(timed) == [
        (
            "person.unreachable",
            "ada cannot be told: email: no smtp_url is set: nothing can leave by it",
        )
    ]


def test_a_store_that_cannot_be_written_stops_no_page_and_repeats_none(
    store_url: str, timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    incident = handed_over(timed)
    pager = by_mail()
    with unwritable(store_url):
        timed.close()
        assert pager.deliver_due() == 1
        clock.advance(timedelta(minutes=4))
        assert pager.deliver_due() == 0
        clock.advance(timedelta(minutes=2))
        assert pager.deliver_due() == 1  # nobody could have acknowledged it
        assert postbox.recipients == ["ada@example.org"] * 2
    timed.close()
    assert pager.deliver_due() == 0
    assert pager_entries(timed) == [("person.told", "ada was told by email")]
    assert [(row.step, row.state) for row in queued(timed, incident)] == [(0, "sent"), (1, "due")]


def test_a_store_that_cannot_be_written_keeps_nobody_from_the_next_rung(
    store_url: str, timed: Store, by_mail: Paging, postbox: Postbox
) -> None:
    handed_over(timed)
    postbox.says["ada@example.org"] = "550 5.1.1 no such person"
    with unwritable(store_url):
        timed.close()
        assert by_mail().deliver_due() == 1
    assert postbox.recipients == ["bob@example.org"]


def test_a_fault_in_composing_a_page_keeps_nobody_in_the_dark(
    timed: Store, by_mail: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = handed_over(timed)

    def fault(*_: Any, **__: Any) -> None:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr("paramedic.messages.page.page", fault)
    assert by_mail().deliver_due() == 1
    [page] = postbox.letters
    assert page["Subject"] == f"[{incident.id}] needs a look"
    assert "KeyError: 'what nobody thought of'" in text_of(page)
    assert "/ack/" in text_of(page)


def test_a_fault_in_one_message_keeps_no_other_from_its_person(
    timed: Store, by_mail: Paging, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with timed.write() as tx:
        for subject in ("first", "second"):
            messages.queue_internal_alert(tx, subject=subject, body="", same_within_minutes=1)
    whole = Recipients.of

    def fault(self: Recipients, message: QueuedMessage, now: datetime, **how: bool) -> Any:
        if message.subject == "first":
            raise KeyError("what nobody thought of")
        return whole(self, message, now, **how)

    monkeypatch.setattr(Recipients, "of", fault)
    assert by_mail().deliver_due() == 1
    assert postbox.subjects == ["[Paramedic] second"]


def test_without_its_key_a_page_leaves_without_a_link(timed: Store, by_mail: Paging, postbox: Postbox) -> None:
    handed_over(timed)
    assert by_mail(link_key_file=Path("/proc/nowhere/link.key")).deliver_due() == 1
    assert "/ack/" not in text_of(postbox.letters[0])
    assert "paramedic incident ack" in text_of(postbox.letters[0])


def test_labels_are_data_in_a_mail_and_secrets_are_not_in_it(timed: Store, by_mail: Paging, postbox: Postbox) -> None:
    redaction.remember("hunter2-and-more")
    sly = "up\r\nBcc: eve@example.org\nX-Evil: 1\n\nhunter2-and-more\x1b[2J"
    handed_over(timed, because=sly, title=sly)
    by_mail().deliver_due()
    [page] = postbox.letters
    assert (page["Bcc"], page["X-Evil"], page["To"]) == (None, None, "ada@example.org")
    assert "hunter2" not in page.as_string()
    assert "\x1b" not in page.as_string()
    redaction.forget_all()


def test_a_slow_mail_server_does_not_hold_the_round_for_ever(
    timed: Store, by_mail: Paging, postbox: Postbox, clock: Clock
) -> None:
    with timed.write() as tx:
        for number in range(5):
            messages.queue_internal_alert(tx, subject=f"word {number}", body="", same_within_minutes=1)
    postbox.arriving = lambda: clock.advance(timedelta(seconds=20))
    pager = by_mail()
    assert pager.deliver_due() == 2
    assert pager.deliver_due() == 2
    assert pager.deliver_due() == 1


def test_a_direct_page_needs_no_store(tmp_path: Path, settings: Settings, postbox: Postbox, clock: Clock) -> None:
    gone = Store(f"sqlite:///{tmp_path}/no/such/folder/paramedic.db")
    pager = Pager(gone, settings, on_call(), steady=clock.steady)
    for _ in range(3):
        assert pager.page_directly("the store does not answer", "It is gone.\x1b[2J")
        clock.advance(timedelta(minutes=1))
    assert postbox.subjects == ["[Paramedic] the store does not answer"]
    assert postbox.recipients == ["ada@example.org"]
    assert postbox.letters[0]["X-Paramedic"] == "unknown"
    assert "It is gone.\\x1b[2J" in text_of(postbox.letters[0])
    assert pager.page_directly("another", "word")
    clock.advance(timedelta(minutes=3))
    assert pager.page_directly("the store does not answer", "It is still gone.")
    assert len(postbox.letters) == 3


def test_a_direct_page_that_did_not_leave_is_tried_again(
    tmp_path: Path, settings: Settings, postbox: Postbox, clock: Clock
) -> None:
    pager = Pager(Store(f"sqlite:///{tmp_path}/none.db"), settings, on_call(), steady=clock.steady)
    postbox.says["*"] = "451 4.7.1 later"
    assert not pager.page_directly("trouble", "words")
    postbox.says = {"ada@example.org": "550 5.1.1 no such person"}
    assert pager.page_directly("trouble", "words")
    assert postbox.recipients == ["bob@example.org"]
    away = settings.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{free_port()}")})
    assert not Pager(Store(f"sqlite:///{tmp_path}/none.db"), away, on_call()).page_directly("trouble", "words")
