"""The page of a link says what has happened to its incident so far, and offers only what can still be done."""

import pytest
from html_forms import press
from incident_states import begun, handed_over
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages.signed_link import Acknowledgement, sign
from paramedic.settings import Settings
from paramedic.store import Store, lifecycle


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def link(settings: Settings, timed: Store) -> str:
    """Ada's link of the first incident."""
    return f"/ack/{sign(keys.link_key(settings), Acknowledgement(timed.uuid, 1, 'ada'))}"


def _take(store: Store, by: str) -> None:
    with store.record() as tx:
        lifecycle.acknowledge(tx, 1, by=by, reason="a test")


def _button(page: str) -> str:
    return page.partition("<button>")[2].partition("</button>")[0]


def test_before_anybody_has_it_nothing_has_happened(client: TestClient, link: str, timed: Store) -> None:
    handed_over(timed)
    page = client.get(link).text
    assert "INC-1: is it yours?" in page
    assert "Nobody has it" in page
    assert "Opening this page has changed nothing." in page
    assert _button(page) == "I have it: ada"


def test_while_paramedic_works_on_it_the_page_says_so(client: TestClient, link: str, timed: Store) -> None:
    begun(timed)
    page = client.get(link).text
    assert ("Paramedic works on it" in page, "Nobody has it" in page) == (True, False)
    assert _button(page) == "I have it: ada"


def test_after_the_button_the_page_says_since_when_and_has_no_button(
    client: TestClient, link: str, timed: Store
) -> None:
    handed_over(timed)
    for page in (press(client, link).text, client.get(link).text, press(client, link).text):
        assert "INC-1 is yours" in page
        assert "ada has it since 2026-01-31 09:30:00 UTC" in page
        assert _button(page) == ""
        assert "changed nothing. " not in page


def test_whose_it_is_is_said_before_it_is_taken_over_and_after(client: TestClient, link: str, timed: Store) -> None:
    handed_over(timed)
    _take(timed, "ben")
    page = client.get(link).text
    assert ("INC-1 is ben&#39;s" in page, "ben has it since 2026-01-31 09:30:00 UTC" in page) == (True, True)
    assert _button(page) == "Take it over: ada"
    assert "takes it over from ben, who is told" in page
    taken = press(client, link).text
    assert ("INC-1 is yours" in taken, "ben had it before, and is told" in taken) == (True, True)
    assert "ben" not in client.get(link).text


def test_when_it_is_over_the_page_says_how_it_ended_and_by_whom(client: TestClient, link: str, timed: Store) -> None:
    handed_over(timed)
    with timed.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "<a full disk>"), actor="person:ben")
    page = client.get(link)
    assert (page.status_code, _button(page.text)) == (200, "")
    for words in ("INC-1 is over", "over since 2026-01-31 09:30:00 UTC: resolved by ben", "&lt;a full disk&gt;"):
        assert words in page.text
    assert press(client, link).status_code == 409
