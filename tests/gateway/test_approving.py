"""An approval by link: looking decides nothing, the code of the message is needed, and five wrong ones end it."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from databases import Clock
from html_forms import press as press_button
from incident_states import asking
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.messages.signed_link import Approving, sign_approval
from paramedic.remediation.approval import Answer, Approval, code
from paramedic.settings import Settings
from paramedic.store import Store, approvals, lifecycle, trail


@pytest.fixture
def backend() -> str:
    """The pages are the same on both; the decision itself is tried on both in tests/store."""
    return "sqlite"


def link_of(settings: Settings, store: Store, asked: Approval, person: str = "ada", *, of: str | None = None) -> str:
    token = sign_approval(keys.link_key(settings), Approving(of or store.uuid, asked.id, person))
    return f"/approve/{token}"


def code_of(settings: Settings, store: Store, asked: Approval, person: str = "ada") -> str:
    return code(keys.link_key(settings), store.uuid, asked.id, person)


def press(client: TestClient, link: str, decision: str, digits: str = "") -> httpx.Response:
    return press_button(client, link, decision=decision, code=digits)


def now(store: Store, asked: Approval) -> Approval:
    with store.read() as tx:
        return approvals.get(tx, asked.id)


def test_looking_shows_what_is_asked_and_decides_nothing(client: TestClient, settings: Settings, timed: Store) -> None:
    incident, asked = asking(timed)
    link = link_of(settings, timed, asked)
    page = client.get(link)
    assert page.status_code == 200
    for shown in (
        "restart",
        asked.target,
        "pid 4711",
        incident.id,
        "ada",
        "2026-01-31T09:45:00.000000Z",
        'name="code"',
    ):
        assert shown in page.text
    assert code_of(settings, timed, asked) not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.head(link).status_code == 405
    assert now(timed, asked) == asked


def test_the_page_shows_what_would_be_touched_as_text(client: TestClient, settings: Settings, timed: Store) -> None:
    _, asked = asking(timed, remedy="block_address", touches='address "<b>203.0.113.7</b>\x1b[2J"; for 1h')
    page = client.get(link_of(settings, timed, asked)).text
    assert "<dt>It touches</dt>" in page
    assert "&lt;b&gt;203.0.113.7&lt;/b&gt;\\x1b[2J" in page
    assert "<b>" not in page
    _, restart = asking(timed, "web-2/tracking-api")
    assert "It touches" not in client.get(link_of(settings, timed, restart)).text


def test_the_code_of_the_message_approves_and_twice_is_as_good_as_once(
    client: TestClient, settings: Settings, timed: Store
) -> None:
    _, asked = asking(timed)
    link, digits = link_of(settings, timed, asked), code_of(settings, timed, asked)
    first = press(client, link, "approve", f" {digits} ")
    assert (first.status_code, "ada approved the restart" in first.text) == (200, True)
    assert (now(timed, asked).state, now(timed, asked).how) == (Answer.GRANTED, "link")
    assert press(client, link, "approve", digits).status_code == 200
    assert client.get(link).status_code == 409
    late = press(client, link_of(settings, timed, asked, "bob"), "deny")
    assert (late.status_code, "too late: ada approved" in late.text) == (409, True)


def test_a_denial_needs_no_code(client: TestClient, settings: Settings, timed: Store) -> None:
    _, asked = asking(timed)
    assert press(client, link_of(settings, timed, asked), "deny").status_code == 200
    assert (now(timed, asked).state, now(timed, asked).decided_by) == (Answer.DENIED, "ada")


@pytest.mark.parametrize("wrong", ["", "00000000", "1234567", "١٢٣٤٥٦٧٨", "another", "bob's"])
def test_any_other_code_decides_nothing_and_is_told(
    client: TestClient, settings: Settings, timed: Store, wrong: str
) -> None:
    incident, asked = asking(timed)
    digits = code_of(settings, timed, asked, "bob") if wrong == "bob's" else wrong
    answer = press(client, link_of(settings, timed, asked), "approve", digits)
    assert (answer.status_code, "not the code" in answer.text) == (403, True)
    assert (now(timed, asked).state, now(timed, asked).wrong_codes) == (Answer.ASKED, 1)
    with timed.read() as tx:
        last = trail.head(tx)
    assert last is not None
    assert (last.what, last.incident, last.actor) == ("approval.wrong_code", incident.id, "gateway")


def test_after_five_wrong_codes_no_link_works_and_the_command_line_does(
    client: TestClient, settings: Settings, timed: Store
) -> None:
    incident, asked = asking(timed)
    link = link_of(settings, timed, asked)
    assert [press(client, link, "approve", "00000000").status_code for _ in range(5)] == [403, 403, 403, 403, 410]
    for person in ("ada", "bob"):
        dead = press(
            client, link_of(settings, timed, asked, person), "approve", code_of(settings, timed, asked, person)
        )
        assert (dead.status_code, f"paramedic incident approve {incident.id}" in dead.text) == (410, True)
        assert press(client, link_of(settings, timed, asked, person), "deny").status_code == 410
    assert client.get(link).status_code == 410
    assert now(timed, asked) == replace(asked, wrong_codes=5)
    with timed.record() as tx:
        assert not isinstance(approvals.decide(tx, asked.id, granted=True, by="ada", how="command line"), str)


def test_a_late_answer_says_that_nobody_answered_in_time(
    client: TestClient, settings: Settings, timed: Store, clock: Clock
) -> None:
    _, asked = asking(timed)
    link, digits = link_of(settings, timed, asked), code_of(settings, timed, asked)
    clock.advance(timedelta(minutes=15))
    for answer in (client.get(link), press(client, link, "approve", digits), press(client, link, "deny")):
        assert (answer.status_code, "nobody approved the restart" in answer.text) == (409, True)


def test_an_answer_after_an_acknowledgement_says_that_it_is_void(
    client: TestClient, settings: Settings, timed: Store
) -> None:
    incident, asked = asking(timed)
    with timed.record() as tx:
        lifecycle.acknowledge(tx, incident.number, by="bob", reason="a test")
    answer = press(client, link_of(settings, timed, asked), "approve", code_of(settings, timed, asked))
    assert (answer.status_code, "the incident went on" in answer.text) == (409, True)


def test_a_link_that_is_not_ours_or_of_another_store_or_question_does_nothing(
    client: TestClient, settings: Settings, timed: Store
) -> None:
    _, asked = asking(timed)
    for link in (
        f"{link_of(settings, timed, asked)}x",
        link_of(settings, timed, asked, of="another"),
        link_of(settings, timed, replace(asked, id=77)),
        "/approve/x",
    ):
        assert client.get(link).status_code == 410
        assert press(client, link, "deny").status_code == 410
    assert now(timed, asked) == asked


@pytest.mark.parametrize("body", ["", "decision=", "decision=maybe&code=1", "decision=APPROVE", "\x00\xff", "a" * 1000])
def test_a_form_without_an_answer_is_none(client: TestClient, settings: Settings, timed: Store, body: str) -> None:
    _, asked = asking(timed)
    answer = client.post(link_of(settings, timed, asked), content=body.encode("latin-1"))
    assert answer.status_code == 422
    assert now(timed, asked) == asked


def test_a_large_form_is_not_read(client: TestClient, settings: Settings, timed: Store) -> None:
    _, asked = asking(timed)
    assert client.post(link_of(settings, timed, asked), content=b"a" * 5000).status_code == 413


def test_without_its_key_a_link_is_answered_in_words(client: TestClient, settings: Settings, timed: Store) -> None:
    _, asked = asking(timed)
    link = link_of(settings, timed, asked)
    (settings.data / "link.key").write_text("cut")
    assert (client.get(link).status_code, press(client, link, "deny").status_code) == (503, 503)
    assert now(timed, asked) == asked
