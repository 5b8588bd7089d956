"""A watchdog, and all that it looks at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import Clock
from incident_states import on_call
from mail_server import Postbox
from pydantic import SecretStr
from watchdog_harness import Harness, Outside

from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.watchdog.prefect_status import PrefectStatus
from paramedic.watchdog.watchdog import Watchdog


@pytest.fixture
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.close()
    assert outside.strange == []


@pytest.fixture
def settings(tmp_path: Path, outside: Outside, postbox: Postbox) -> Settings:
    return Settings(
        data=tmp_path / "data",
        host="127.0.0.1",
        port=outside.port,
        prefect_api_url=f"http://127.0.0.1:{outside.port}/api",
        heartbeat_url=SecretStr(f"http://127.0.0.1:{outside.port}/heart"),
        smtp_url=SecretStr(postbox.url),
        mail_from="paramedic@example.org",
    )


@pytest.fixture
def harness(
    store_url: str, timed: Store, clock: Clock, settings: Settings, outside: Outside, postbox: Postbox
) -> Harness:
    pager = Pager(timed, settings, on_call(), steady=clock.steady)
    probe = Store(store_url, now=clock.now)
    watchdog = Watchdog(settings, timed, probe, pager, PrefectStatus(settings), steady=clock.steady)
    return Harness(watchdog, timed, clock, outside, postbox)
