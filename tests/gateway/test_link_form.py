"""A link acts for a person who looks at its page and presses the button; for no other site, scanner or second time."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from html_forms import press
from incident_states import asking
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.incidents.incident import State
from paramedic.messages.signed_link import Acknowledgement, Approving, sign, sign_approval
from paramedic.remediation.approval import Answer, code
from paramedic.settings import Settings
from paramedic.store import Store, approvals, incidents


@pytest.fixture
def backend() -> str:
    return "sqlite"


class Link:
    """One link of each kind: where it leads, what its button says, and whether it did anything."""

    def __init__(self, kind: str, settings: Settings, store: Store) -> None:
        self._kind, self._store = kind, store
        incident, self._asked = asking(store)
        self._number = incident.number
        key = keys.link_key(settings)
        acknowledgement = sign(key, Acknowledgement(store.uuid, incident.number, "ada"))
        approval = sign_approval(key, Approving(store.uuid, self._asked.id, "ada"))
        self.path = f"/ack/{acknowledgement}" if kind == "ack" else f"/approve/{approval}"
        self.fields = {} if kind == "ack" else {"decision": "deny", "code": ""}

    def acted(self) -> bool:
        with self._store.read() as tx:
            if self._kind == "ack":
                return incidents.get(tx, self._number).state is State.ACKNOWLEDGED
            return approvals.get(tx, self._asked.id).state is not Answer.ASKED


@pytest.fixture(params=["ack", "approve"])
def link(request: pytest.FixtureRequest, settings: Settings, timed: Store) -> Link:
    return Link(request.param, settings, timed)


def _form(client: TestClient, link: Link) -> dict[str, str]:
    """The fields of the page, as a browser or a scanner fills them in."""
    [field] = re.findall(r'name="form" value="([^"]+)"', client.get(link.path).text)
    return {"form": field, **link.fields}


def test_the_person_who_presses_the_button_is_heard(client: TestClient, link: Link) -> None:
    assert press(client, link.path, **link.fields).status_code == 200
    assert link.acted()


def test_the_cookie_goes_to_no_other_site_page_or_script(client: TestClient, link: Link) -> None:
    cookie = client.get(link.path).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", f"Path={link.path}"} <= set(cookie.split("; "))


def test_a_bare_post_does_nothing(client: TestClient, link: Link) -> None:
    for body in ({}, link.fields, {"form": "x", **link.fields}, {"form": "", **link.fields}):
        assert client.post(link.path, data=body).status_code in (403, 422)
    assert not link.acted()


def test_a_scanner_that_submits_the_form_without_its_cookie_does_nothing(client: TestClient, link: Link) -> None:
    form = _form(client, link)
    client.cookies.clear()
    assert client.post(link.path, data=form).status_code == 403
    assert not link.acted()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_post_from_another_site_does_nothing_even_with_all_of_the_form(
    client: TestClient, link: Link, headers: dict[str, str]
) -> None:
    answer = client.post(link.path, data=_form(client, link), headers=headers)
    assert (answer.status_code, "another site" in answer.text) == (403, True)
    assert not link.acted()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
    ],
)
def test_what_browsers_say_of_our_own_page_is_right(client: TestClient, link: Link, headers: dict[str, str]) -> None:
    assert client.post(link.path, data=_form(client, link), headers=headers).status_code == 200
    assert link.acted()


def test_the_form_of_one_link_is_none_of_another(
    client: TestClient, settings: Settings, timed: Store, link: Link
) -> None:
    with timed.read() as tx:
        other = incidents.get(tx, 1)
    strange = f"/ack/{sign(keys.link_key(settings), Acknowledgement(timed.uuid, other.number, 'bob'))}"
    form = _form(client, link)
    client.get(strange)
    assert client.post(strange, data=form).status_code == 403
    assert not link.acted()


def test_a_form_is_good_once(client: TestClient, link: Link) -> None:
    form = _form(client, link)
    assert client.post(link.path, data=form).status_code == 200
    again = client.post(link.path, data=form)
    assert (again.status_code, "used before" in again.text) == (200, False), "what is done is shown as it stands"


def test_a_page_that_stood_open_too_long_does_nothing(client: TestClient, link: Link) -> None:
    form = _form(client, link)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2)):
        assert client.post(link.path, data=form).status_code == 403
    assert not link.acted()


def test_a_page_that_is_opened_twice_works_in_both_windows(client: TestClient, link: Link) -> None:
    first, _ = _form(client, link), _form(client, link)
    assert client.post(link.path, data=first).status_code == 200


def test_the_code_of_the_message_needs_no_form_and_comes_from_no_other_site(
    client: TestClient, settings: Settings, timed: Store
) -> None:
    _, asked = asking(timed)
    key = keys.link_key(settings)
    path = f"/approve/{sign_approval(key, Approving(timed.uuid, asked.id, 'ada'))}"
    fields = {"decision": "approve", "code": code(key, timed.uuid, asked.id, "ada")}
    assert client.post(path, data=fields, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post(path, data=fields).status_code == 200
