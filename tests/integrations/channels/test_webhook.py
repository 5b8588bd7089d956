"""A signed webhook, to receivers that are strict, slow, busy and sly."""

import base64
import socket
import time
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from endless_servers import answering
from pydantic import SecretStr, ValidationError
from webhook_receiver import SECRET, Hooks, is_signed

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.channels.webhook import TEXT_LIMIT, Settings, Teller
from paramedic.kinds.message import Message
from paramedic.machine.clock import from_iso, utc_now

SECOND = timedelta(seconds=1)
PAGE = Message(
    "[INC-7] down",
    "It is yours.",
    "page",
    incident="INC-7",
    store="store-1",
    recipient="ada",
    id="12.3f0c1a52-6f2e",
    thread="INC-7.store-1",
)


def send(
    url: str, text: str = "It is yours.", *, timeout: timedelta = timedelta(seconds=5), secret: str = SECRET
) -> None:
    settings = Settings(url=SecretStr(url), secret=SecretStr(secret))
    Teller(settings, timeout).send(replace(PAGE, text=text))


def test_what_is_posted_keeps_the_contract(hooks: Hooks) -> None:
    send(hooks.url, "It is yours.\x1b[2J \ud800")
    [(path, headers, body)] = hooks.posted
    assert path == "/hook?a=1"
    assert headers["content-type"] == "application/json"
    assert is_signed(headers, body)
    assert not is_signed(headers, body + b" ")
    assert not is_signed(headers | {"webhook-timestamp": "1"}, body)
    assert headers["webhook-id"] == "12_3f0c1a52-6f2e", "a full stop would part what is signed"
    assert abs(int(headers["webhook-timestamp"]) - utc_now().timestamp()) < 60
    [payload] = hooks.payloads
    assert abs(from_iso(payload.pop("timestamp")) - utc_now()) < timedelta(minutes=1)
    assert payload == {
        "type": "paramedic.page",
        "data": {
            "to": "ada",
            "subject": "[INC-7] down",
            "short": "[INC-7] down",
            "text": "It is yours.\\x1b[2J \\ud800",
            "store": "store-1",
            "incident": "INC-7",
        },
    }


def test_a_repeat_is_known_by_its_id(hooks: Hooks) -> None:
    send(hooks.url)
    send(hooks.url)
    assert len({headers["webhook-id"] for _, headers, _ in hooks.posted}) == 1
    assert all(is_signed(headers, body) for _, headers, body in hooks.posted)


def test_a_message_is_bounded_and_says_so(hooks: Hooks) -> None:
    send(hooks.url, "x" * (TEXT_LIMIT + 5))
    text = hooks.payloads[0]["data"]["text"]
    assert text.endswith("x\n… 5 characters after this are left out")
    assert len(text) < TEXT_LIMIT + 100


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_no_is_a_no_and_is_repeated_in_its_own_words(hooks: Hooks, status: int) -> None:
    hooks.says, hooks.with_body = status, b"no such hook\x1b[2J" + b"x" * 5000
    with pytest.raises(PermanentError, match=rf"answered {status}: no such hook\\x1b") as caught:
        send(hooks.url)
    assert len(str(caught.value)) < 1100


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_later_is_a_later(hooks: Hooks, status: int) -> None:
    hooks.says = status
    with pytest.raises(TemporaryError, match=f"answered {status}") as caught:
        send(hooks.url)
    assert caught.value.after is None


def test_who_limits_the_rate_is_left_in_peace_for_so_long(hooks: Hooks) -> None:
    hooks.says = 429
    asked = {
        "120": timedelta(seconds=120),
        format_datetime(utc_now() + timedelta(hours=1), usegmt=False): timedelta(hours=1),
        format_datetime(utc_now() - timedelta(hours=1)): timedelta(0),
        "Wed, 25 Nov 2026 18:00:00 -0000": None,  # a date without a zone
        "soon": None,
        "-1": None,
        "٣": None,
        "99999999999999999999": None,
    }
    for header, wanted in asked.items():
        hooks.with_headers = {"Retry-After": header} if header.isascii() else {}
        with pytest.raises(TemporaryError) as caught:
            send(hooks.url)
        after = caught.value.after
        assert after == wanted or (after is not None and wanted is not None and abs(after - wanted) < 60 * SECOND), (
            header
        )


@pytest.mark.parametrize("clock", [timedelta(days=-400), timedelta(0), timedelta(days=400)])
def test_a_date_to_wait_for_is_by_the_clock_of_whoever_asks(clock: timedelta) -> None:
    now = utc_now() + clock
    lines = {"Date": format_datetime(now), "Retry-After": format_datetime(now + timedelta(minutes=2))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with (
        answering(f"HTTP/1.1 429 Later\r\n{head}Content-Length: 0\r\n\r\n".encode()) as url,
        pytest.raises(TemporaryError) as caught,
    ):
        send(url)
    assert caught.value.after == timedelta(minutes=2)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(hooks: Hooks, status: int) -> None:
    hooks.says, hooks.with_headers = status, {"Location": hooks.url}
    with pytest.raises(PermanentError, match="redirects are not followed"):
        send(hooks.url)
    assert len(hooks.posted) == 1


@pytest.mark.parametrize("begun", [(), (b"HTTP/1.1 200 OK\r\n",), (b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 200)])
def test_who_is_slow_or_drips_is_cut_at_the_time_out(begun: tuple[bytes, ...]) -> None:
    start = time.monotonic()
    with (
        answering(*begun, every=0.05, hold=True) as url,
        pytest.raises(TemporaryError, match="no whole answer within 300ms"),
    ):
        send(url, timeout=timedelta(milliseconds=300))
    assert time.monotonic() - start < 5


def test_a_refusal_whose_words_drip_is_still_a_refusal() -> None:
    with (
        answering(b"HTTP/1.1 404 No\r\n\r\n", *[b"x"] * 200, every=0.05, hold=True) as url,
        pytest.raises(PermanentError, match="404"),
    ):
        send(url, timeout=timedelta(milliseconds=300))


@pytest.mark.parametrize(
    "lie", [b"", b"\x00\xff" * 100 + b"\n", b"HTTP/1.1 9999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 500]
)
def test_what_is_no_answer_is_asked_again(lie: bytes) -> None:
    with answering(lie, hold=True) as url, pytest.raises(TemporaryError):
        send(url, timeout=SECOND)


def test_nobody_there_is_asked_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(TemporaryError, match="refused"):
            send(f"http://127.0.0.1:{free.getsockname()[1]}/")


def test_a_proxy_in_the_environment_is_not_asked(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    send(hooks.url)
    assert len(hooks.posted) == 1


def test_who_speaks_no_tls_is_asked_again() -> None:
    with pytest.raises(TemporaryError, match="no whole answer"), answering(b"this is no TLS\r\n", hold=True) as url:
        send(url.replace("http://", "https://"), timeout=SECOND)


@pytest.mark.parametrize(
    "url", ["", "ftp://here/x", "http://", "http://[::1", "http://here:port/", "https://me:secret@here/", "hook"]
)
def test_a_url_that_cannot_be_right_is_said_and_not_repeated(url: str) -> None:
    with pytest.raises(PermanentError, match="the webhook's url") as caught:
        send(url)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a b", "http://127.0.0.1:1/\u00e9", "http://h\u00e9" + "x" * 70 + "/"]
)
def test_a_url_that_cannot_be_sent_is_useless(hooks: Hooks, url: str) -> None:
    with pytest.raises(PermanentError, match="characters that cannot be sent"):
        send(url.replace("127.0.0.1:1", hooks.at))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_!!!",
        "hunter2hunter2",
        base64.b64encode(b"x" * 23).decode(),
        base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(PermanentError, match="secret"):
        send("http://127.0.0.1:1/", secret=secret)


def test_without_a_secret_nothing_is_sent() -> None:
    with pytest.raises(ValidationError, match="secret"):
        Settings.model_validate({"url": "http://127.0.0.1:1/"})
