"""Who stands in is told, also by who cannot ask the store."""

from datetime import timedelta
from pathlib import Path

import pytest
from databases import Clock
from incident_states import handed_over, on_call
from mail_server import Postbox
from pydantic import SecretStr

from paramedic.machine.clock import utc_now
from paramedic.oncall import overrides_file as copy
from paramedic.oncall.rotation import Override
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store, oncall_overrides, trail

pytestmark = pytest.mark.real

DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path, postbox: Postbox) -> Settings:
    return Settings(data=tmp_path / "data", smtp_url=SecretStr(postbox.url), mail_from="paramedic@example.org")


def overridden(store: Store, clock: Clock, person: str = "bob") -> Override:
    override = Override(person, clock.now(), clock.now() + DAY, "ada")
    with store.record() as tx:
        oncall_overrides.add(tx, override)
    return override


def test_who_stands_in_is_paged_and_the_rotation_is_again_when_it_ends(
    timed: Store, settings: Settings, postbox: Postbox, clock: Clock
) -> None:
    pager = Pager(timed, settings, on_call())
    overridden(timed, clock)
    handed_over(timed)
    pager.deliver_due()
    assert postbox.recipients == ["bob@example.org"]
    clock.advance(DAY)
    handed_over(timed, target="web-2/tracking-api")
    pager.deliver_due()
    assert "ada@example.org" in postbox.recipients
    with timed.read() as tx:
        entries = [(entry.actor, entry.reason) for entry in trail.entries(tx) if entry.what == "oncall.overridden"]
        assert oncall_overrides.current(tx) == ()
    assert entries == [("person:ada", "bob is on call from 2026-01-31T09:30:00.000000Z to 2026-02-01T09:30:00.000000Z")]


def test_the_newest_override_is_the_last(timed: Store, clock: Clock) -> None:
    both = (overridden(timed, clock, "bob"), overridden(timed, clock, "ada"))
    with timed.read() as tx:
        assert oncall_overrides.current(tx) == both


def test_who_cannot_ask_the_store_knows_who_stands_in_from_the_copy_on_disk(
    tmp_path: Path, timed: Store, settings: Settings, postbox: Postbox
) -> None:
    now = utc_now()  # trouble is told by the wall's clock
    with timed.record() as tx:
        oncall_overrides.add(tx, Override("bob", now - DAY, now + DAY, "ada"))
    Pager(timed, settings, on_call()).deliver_due()
    gone = Store(f"sqlite:///{tmp_path}/no/such/folder/paramedic.db")
    assert Pager(gone, settings, on_call()).page_directly("the store does not answer", "It is gone.")
    assert postbox.recipients == ["bob@example.org"]


def test_a_copy_that_cannot_be_read_leaves_the_rotation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert copy.read_copy(tmp_path) == ()
    assert caplog.text == ""
    for broken in ("", "{}{", "[1]", '[{"person": "bob"}]', '[{"person":"b","begins":"x","ends":"y","by":"z"}]', "3"):
        (tmp_path / copy.FILE).write_text(broken)
        assert copy.read_copy(tmp_path) == (), broken
    assert "the rotation alone counts" in caplog.text


def test_a_copy_that_cannot_be_written_stops_no_page(
    timed: Store, settings: Settings, postbox: Postbox, clock: Clock
) -> None:
    settings.data.mkdir()
    (settings.data / copy.FILE).mkdir()  # nothing can take its place
    overridden(timed, clock)
    handed_over(timed)
    assert Pager(timed, settings, on_call()).deliver_due() == 1
    assert postbox.recipients == ["bob@example.org"]
    assert [path.name for path in settings.data.glob(".oncall*")] == [], "no half copy stays behind"
