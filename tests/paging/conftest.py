"""A person's ways and a runbook's channels: real servers that keep what they are told, and Pagers that tell them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Clock
from incident_states import PEOPLE, Paging, on_call
from mail_server import Postbox
from pydantic import SecretStr
from webhook_receiver import SECRET, Hooks

from paramedic.paging import Pager
from paramedic.settings import Channel, Settings
from paramedic.store import Store


@pytest.fixture
def chat() -> Iterator[Hooks]:
    hooks = Hooks()
    hooks.says = 200
    yield hooks
    hooks.close()


@pytest.fixture
def settings(tmp_path: Path, postbox: Postbox) -> Settings:
    """Mail can leave; there is no other channel."""
    return Settings(data=tmp_path, smtp_url=SecretStr(postbox.url), mail_from="paramedic@example.org")


@pytest.fixture
def by_mail(timed: Store, settings: Settings, clock: Clock) -> Paging:
    """Pagers that can tell by mail alone."""

    def make(oncall_yaml: str = PEOPLE, **instead: Any) -> Pager:
        return Pager(timed, settings.model_copy(update=instead), on_call(oncall_yaml), steady=clock.steady)

    return make


@pytest.fixture
def paging(
    request: pytest.FixtureRequest,
    by_mail: Paging,
    hooks: Hooks,
    chat: Hooks,
) -> Paging:
    """Pagers that know the module's PEOPLE, or the usual ones, their mail and two channels: one of its own for each process."""
    channels = {
        "ops": Channel(url=SecretStr(hooks.url), secret=SecretStr(SECRET)),
        "chat": Channel(url=SecretStr(f"json://{chat.at}/")),
    }

    def make(oncall_yaml: str = getattr(request.module, "PEOPLE", PEOPLE), **instead: Any) -> Pager:
        return by_mail(oncall_yaml, **{"channels": channels, **instead})

    return make
