"""The page that silences an incident's alerts: a GET changes nothing, a button of it does, once and by its recipient."""

import pytest
from html_forms import press
from incident_states import alert, handed_over
from sqlalchemy import select
from starlette.testclient import TestClient

from paramedic import keys
from paramedic.alerts.alert import Severity
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.messages.signed_link import Acknowledgement, Approving, sign, sign_approval
from paramedic.settings import Settings
from paramedic.store import Store, lifecycle, silences, trail
from paramedic.store.tables import silences as rows


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def link(settings: Settings, timed: Store) -> str:
    """Ada's link of the first incident, whose alert fires."""
    handed_over(timed, service="shop", instance="web-1")
    return f"/ack/silence/{sign(keys.link_key(settings), Acknowledgement(timed.uuid, 1, 'ada'))}"


def _begun(store: Store) -> int:
    with store.read() as tx:
        return len(tx.conn.execute(select(rows)).all())


def test_the_page_of_the_incident_leads_to_it(client: TestClient, link: str) -> None:
    page = client.get(link.replace("/silence/", "/")).text
    assert f'href="silence/{link.rpartition("/")[2]}"' in page


def test_opening_it_changes_nothing_and_says_what_would_be_silenced_and_by_whom(
    client: TestClient, link: str, timed: Store
) -> None:
    page = client.get(link).text
    assert "Silence the alerts of INC-1?" in page
    assert "alertname=&#34;TrackingApiMemory&#34;, instance=&#34;web-1&#34;, service=&#34;shop&#34;" in page
    assert "<dt>By</dt><dd>ada</dd>" in page
    assert _begun(timed) == 0


def test_a_button_silences_for_its_hours_by_the_recipient_and_holds_what_comes(
    client: TestClient, link: str, timed: Store
) -> None:
    answer = press(client, link, hours="2", reason="we know <b>it</b>")
    assert (answer.status_code, "Silence 1 is in force" in answer.text) == (200, True)
    with timed.read() as tx:
        [silence] = silences.in_force(tx)
        entry = [entry for entry in trail.entries(tx) if entry.what == "silence.added"][-1]
        assert (silence.ends_at - tx.now).total_seconds() == 7200
    assert (silence.author, silence.reason, silence.incident) == ("ada", "we know <b>it</b>", 1)
    assert (entry.actor, entry.incident) == ("person:ada", "INC-1")
    assert silence.matches(alert(severity=Severity.WARNING, service="shop", instance="web-1"))
    assert not silence.matches(alert("Another", service="shop", instance="web-1"))


def test_one_press_is_one_silence(client: TestClient, link: str, timed: Store) -> None:
    shown = client.get(link).text
    field = shown.partition('name="form" value="')[2].partition('"')[0]
    assert client.post(link, data={"form": field, "hours": "1"}).status_code == 200
    assert client.post(link, data={"form": field, "hours": "1"}).status_code == 403
    assert _begun(timed) == 1


@pytest.mark.parametrize("fields", [{}, {"hours": "3"}, {"hours": "99999"}, {"hours": "-1"}])
def test_other_times_are_not_offered(client: TestClient, link: str, timed: Store, fields: dict[str, str]) -> None:
    assert press(client, link, **fields).status_code == 422
    assert _begun(timed) == 0


def test_a_post_without_the_page_from_another_site_or_by_another_link_does_nothing(
    client: TestClient, link: str, timed: Store, settings: Settings
) -> None:
    assert client.post(link, data={"hours": "1"}).status_code == 403
    client.get(link)
    headers = {"Sec-Fetch-Site": "cross-site"}
    field = client.get(link).text.partition('name="form" value="')[2].partition('"')[0]
    assert client.post(link, data={"form": field, "hours": "1"}, headers=headers).status_code == 403
    for token in ("nonsense", sign_approval(keys.link_key(settings), Approving(timed.uuid, 1, "ada"))):
        assert client.post(f"/ack/silence/{token}", data={"form": field, "hours": "1"}).status_code == 410
    assert _begun(timed) == 0


def test_where_none_of_its_alerts_fires_there_is_nothing_to_silence(
    client: TestClient, link: str, timed: Store
) -> None:
    with timed.record() as tx:
        lifecycle.resolve(tx, 1, Outcome(Ending.HANDED_OVER, "it is over"), actor="person:ada")
    assert client.get(link).status_code == 409
    assert press(client, link, hours="1").status_code == 409


def test_it_says_how_many_alerts_of_other_incidents_it_would_hide(client: TestClient, link: str, timed: Store) -> None:
    handed_over(timed, target="web-2/shop", service="shop", instance="web-1", device="sda")
    assert "match as well</dt><dd>1</dd>" in client.get(link).text
