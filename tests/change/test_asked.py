"""What a change is about comes from the firing alerts that its runbook wants, and stands where it can be erased."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from store_states import alert

from paramedic.alerts.alert import Status
from paramedic.change import asked as subject
from paramedic.errors import Refused, TemporaryError
from paramedic.integrations.targets.blocklist import Block
from paramedic.remediation.remedy import RESTART, Remedy, Verb
from paramedic.transports import own_addresses

BLOCK = Remedy(
    1,
    Verb.OFFERED,
    offered="block_address",
    asked=Block.model_validate({"address": "{client_ip}", "for": "1h"}),
)


def said(begin: Any, *alerts: Any) -> Any:
    case = begin(alerts=alerts)
    return subject.asked_of(case.run, BLOCK)


def of(address: str, name: str = "TrackingApiMemory", **more: Any) -> Any:
    return alert(name, env="prod", client_ip=address, **more)


def test_the_firing_alerts_that_the_runbook_wants_say_it(begin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_addresses, "ours", lambda _: frozenset({"198.51.100.1"}))
    found = said(begin, of("192.0.2.1"), of("192.0.2.2"), of("192.0.2.3", "SomethingElse"))
    assert found.about == ({"address": "192.0.2.1"}, {"address": "192.0.2.2"})
    assert found.ours == {"198.51.100.1"}


def test_where_no_alert_says_it_nothing_is_changed(begin: Any) -> None:
    with pytest.raises(Refused, match="no firing alert of the incident has what block_address needs: client_ip"):
        said(begin, alert(env="prod"), of("192.0.2.2", status=Status.RESOLVED))


def test_where_it_is_not_known_what_paramedic_needs_nothing_is_changed(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: object) -> frozenset[str]:
        raise TemporaryError("the address of prefect.example is not known")

    monkeypatch.setattr(own_addresses, "ours", lost)
    with pytest.raises(Refused, match=r"block_address might reach what Paramedic needs: .*prefect\.example"):
        said(begin, of("192.0.2.1"))


def test_a_remedy_that_its_name_says_whole_asks_nothing() -> None:
    assert subject.asked_of(cast("Any", SimpleNamespace()), RESTART) is None


def test_what_it_is_about_is_on_the_trail_beside_the_chain_and_not_in_it(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paramedic.change import guarded
    from paramedic.kinds.asked import Asked
    from paramedic.store import trail

    case, about = begin(), ({"address": "192.0.2.77"},)
    monkeypatch.setattr(guarded, "asked_of", lambda *_: Asked(BLOCK.asked, about, frozenset()))
    case.change()
    (intent,) = case.touch.asked
    assert intent.asked.about == about
    with case.store.read() as tx:
        [entry] = [entry for entry in trail.entries(tx) if entry.phase == "intent"]
        kept = trail.content(tx, entry.seq)
    assert "192.0.2.77" not in str((entry.data, entry.reason))
    assert kept is not None
    assert kept[1] == {"about": [{"address": "192.0.2.77"}]}


def test_our_own_addresses_are_those_of_the_interfaces_and_of_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = own_addresses.ours(["http://192.0.2.44:8000", "http://[2001:db8::4]/api", "sqlite:////tmp/x.db", ""])
    assert {"127.0.0.1", "192.0.2.44", "2001:db8::4"} <= ours
    with pytest.raises(TemporaryError, match="the address of nowhere.invalid is not known"):
        own_addresses.ours(["http://nowhere.invalid/api"])
