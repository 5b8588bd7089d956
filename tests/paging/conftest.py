"""A person's ways and a runbook's channels: real servers that keep what they are told, and Pagers that tell them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from incident_states import Paging, on_call
from mail_server import Postbox
from pydantic import SecretStr
from webhook_receiver import SECRET, Hooks

from paramedic.paging import Pager
from paramedic.settings import Channel, Settings
from paramedic.store import Store


@pytest.fixture
def chat() -> Iterator[Hooks]:
    one = Hooks()
    one.says = 200
    yield one
    one.close()


@pytest.fixture
def paging(
    request: pytest.FixtureRequest,
    timed: Store,
    tmp_path: Path,
    postbox: Postbox,
    hooks: Hooks,
    chat: Hooks,
    clock: Clock,
) -> Paging:
    """A Pager of its own, as each process has; the module's PEOPLE are whom it knows."""
    settings = Settings(
        data=tmp_path,
        smtp_url=SecretStr(postbox.url),
        mail_from="paramedic@example.org",
        channels={
            "ops": Channel(url=SecretStr(hooks.url), secret=SecretStr(SECRET)),
            "chat": Channel(url=SecretStr(f"json://{chat.at}/")),
        },
    )

    def make(said: str = request.module.PEOPLE, **instead: Any) -> Pager:
        return Pager(timed, settings.model_copy(update=instead), on_call(said), steady=lambda: clock.now().timestamp())

    return make
