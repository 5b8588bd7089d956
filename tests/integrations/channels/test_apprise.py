"""The long tail of services, through apprise: one that speaks JSON, and one shaped as Slack, on a server of our own."""

import subprocess
import sys

import pytest
from pydantic import SecretStr
from webhook_receiver import Hooks

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.channels.apprise import Settings, Teller
from paramedic.kinds.message import Message


@pytest.fixture
def hooks(hooks: Hooks) -> Hooks:
    hooks.says, hooks.with_body = 200, b"ok"
    return hooks


def send(url: str, text: str = "It is yours.", subject: str = "[INC-7] down", kind: str = "page") -> None:
    message = Message(subject, text, kind, store="store-1", recipient="ada", id="12.store")
    Teller(Settings(url=SecretStr(url))).send(message)


def test_a_message_arrives_whole(hooks: Hooks) -> None:
    send(f"json://{hooks.at}/hook", "It is yours.\n\n    <b>data</b> \x1b[2J \\n")
    [payload] = hooks.payloads
    assert (payload["title"], payload["type"]) == ("[INC-7] down", "failure")
    assert payload["message"] == "It is yours.\n\n    <b>data</b> \\x1b[2J \\n"
    for kind, mood in (("trouble", "warning"), ("news", "info")):
        send(f"json://{hooks.at}/hook", kind=kind)
        assert hooks.payloads[-1]["type"] == mood


def test_in_a_chat_data_is_neither_markup_nor_a_call_to_all(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{hooks.at}/services")
    sly = "<!channel> !here> @here @everyone <@U6TTX1F9R|ben> <https://evil|safe> ben@example.org cat <file"
    send("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", sly, subject=sly)
    [(path, _, body)] = hooks.posted
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    text = body.decode()
    for markup in ("<!channel", "<!here", "@here", "@everyone", "<@U6TTX1F9R", "<https://evil"):
        assert markup not in text
    assert "ben@example.org" in text
    assert "cat &lt;file" in text


def test_what_is_longer_than_a_service_takes_is_cut(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{hooks.at}/services")
    send("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", "It is yours. " + "x" * 100_000)
    [(_, _, body)] = hooks.posted
    assert b"It is yours." in body
    assert len(body) < NotifySlack.body_maxlen + 2_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_no_is_a_no(hooks: Hooks, status: int) -> None:
    hooks.says = status
    with pytest.raises(PermanentError, match=f"error={status}"):
        send(f"json://{hooks.at}/hook")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_later_is_a_later(hooks: Hooks, status: int) -> None:
    hooks.says = status
    with pytest.raises(TemporaryError):
        send(f"json://{hooks.at}/hook")


def test_nobody_there_is_asked_again() -> None:
    with pytest.raises(TemporaryError, match="Connection error"):
        send("json://127.0.0.1:1/hook?cto=1")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "nosuchservice://token-nobody-may-see", "slack://token-nobody-may-see"]
)
def test_a_url_that_apprise_does_not_know_is_said_and_not_repeated(url: str) -> None:
    with pytest.raises(PermanentError, match="none that apprise knows") as caught:
        send(url)
    assert "nobody-may-see" not in str(caught.value)


def test_who_does_not_send_through_it_does_not_load_it() -> None:
    code = "import sys, paramedic.paging, paramedic.integrations.channels.apprise; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
