"""What a label says is data in every chat: it links, calls, formats and hides nothing there (P7)."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from paramedic.integrations.channels.apprise import Settings, Teller
from paramedic.kinds.message import Link, Message
from paramedic.text import chat_text

_HEX = "abcdef0123456789" * 8

#: A URL of each service that apprise documents as a chat.
CHATS = [
    f"discord://4174216298/{_HEX[:20]}",
    f"discord://4174216298/{_HEX[:20]}?format=markdown",
    f"mmost://chat.example.org/{_HEX[:24]}",
    f"workflows://prod.example.org:443/{_HEX[:32]}/{_HEX[:20]}",
    "zulip://bot@org/" + _HEX[:32] + "/ops",
    f"wxteams://{_HEX[:80]}",
    f"gchat://space/{_HEX[:20]}/{_HEX[:20]}",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?blocks=yes",
    "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#ops",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?format=text",
    "tgram://123456789:AABBCCDDEEFFaabbccddeeff_0123456789/12315544/",
    "tgram://123456789:AABBCCDDEEFFaabbccddeeff_0123456789/12315544/?format=markdown",
    f"matrix://{_HEX[:32]}?mode=matrix&token={_HEX[:32]}",
    f"matrix://user:{_HEX[:32]}@chat.example.org?mode=slack",
    f"rocket://{_HEX[:17]}/{_HEX[:43]}@chat.example.org/#ops",
    f"guilded://{_HEX[:36]}/{_HEX[:86]}",
    f"ryver://org/{_HEX[:15]}",
    f"flock://{_HEX[:24]}",
    f"lark://{_HEX[:32]}",
    f"feishu://{_HEX[:32]}",
    f"dingtalk://{_HEX[:32]}",
    f"wecombot://{_HEX[:32]}",
    f"kook://{_HEX[:32]}/12345",
    f"revolt://{_HEX[:32]}/{_HEX[:26]}",
    f"chime://{_HEX[:36]}/{_HEX[:40]}",
    "nctalk://user:pass@cloud.example.org/room",
    f"synology://chat.example.org/{_HEX[:20]}",
    f"zoom://{_HEX[:22]}/{_HEX[:22]}",
    f"groupme://{_HEX[:26]}",
    "signal://chat.example.org/+12025550101/+12025550102",
    f"spike://{_HEX[:32]}",
    f"fluxer://4174216298000/{_HEX[:20]}",
    f"mastodon://{_HEX[:32]}@social.example.org",
    f"misskey://{_HEX[:32]}@social.example.org",
    "https://discord.com/api/webhooks/4174216298/" + _HEX[:20],
]

SLY = [
    "[safe](https://evil.example/x)",
    "![](https://evil.example/x.png)",
    "![x](https://evil.example/x.png)",
    "[safe][1] [1]: https://evil.example",
    "<at>all</at>",
    "<users/all>",
    "<!channel>",
    "<!here|here>",
    "<@U123>",
    "<@&456>",
    "<#C123>",
    "<https://evil.example|safe>",
    "<https://evil.example>",
    "@everyone",
    "@here",
    "@all",
    "@channel",
    "@room",
    "@ben",
    "x/@everyone",
    "https://evil.example/@everyone",
    "@**all**",
    "@_**all|12**",
    "#**stream**",
    "**bold**",
    "__bold__",
    "~~gone~~",
    "||hidden||",
    "`code`",
    "```",
    "$$x$$",
    "<b>bold</b>",
    "<a href='https://evil.example'>safe</a>",
    "<a\nhref='https://evil.example'>safe</a>",
    "<img src=https://evil.example>",
    "# large",
]

FORBIDDEN = re.compile(
    r"\]\(|!\[|\]\[|\]:|<at>|<users/|<[!@#&]|<https?:|(?<![\w.])@(everyone|here|all|channel|room|ben)\b|@\*\*|@_\*\*|#\*\*"
    r"|\*\*|__|~~|\|\||`|\$\$|<b>|<a\s+href='|<img|^# ",
    re.MULTILINE,
)

LINK = "https://paramedic.example.org/ack/IlsiYW_-__x--.aBc_d"
TEXT = f"It is yours.\n\nTake it:\n{LINK}\nben@example.org can read <file\n\n" + "\n".join(SLY)


class Recorder:
    """In the place of what carries requests' bytes: it keeps what would leave, and says yes."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code = 200
        ok = {
            "ok": True,
            "result": [],
            "code": 0,
            "errcode": 0,
            "StatusCode": 0,
            "room_id": "!r:x",
            "access_token": "t",
        }
        answer._content = b"ok" if "hooks.slack.com" in (request.url or "") else json.dumps(ok).encode()
        answer.request, answer.url = request, request.url or ""
        return answer


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(requests.Session, "send", recorder.send)
    return recorder


def texts(payload: Any) -> Iterator[str]:
    """Every text in the payload; keys are the service's own."""
    if isinstance(payload, str):
        yield payload
    elif isinstance(payload, dict):
        for value in payload.values():
            yield from texts(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from texts(value)


def payloads(recorder: Recorder) -> list[str]:
    found = []
    for request in recorder.sent:
        body = request.body or b""
        body = body.decode() if isinstance(body, bytes) else body
        try:
            found += texts(json.loads(body))
        except ValueError:
            from urllib.parse import parse_qs

            form = parse_qs(body)
            for values in form.values():
                for value in values:
                    try:
                        found += texts(json.loads(value))
                    except ValueError:
                        found.append(value)
    return found


@pytest.mark.parametrize("url", CHATS)
def test_what_a_label_says_is_no_markup_in_a_chat(recorder: Recorder, url: str) -> None:
    """Which of the services reads which markup changes with them: none is left to any of them."""
    message = Message(" ".join(SLY[:9]), TEXT, "page", links=(Link("take it", LINK),), recipient="ada", id="1.s")
    Teller(Settings(url=SecretStr(url))).send(message)
    sent = [text for text in payloads(recorder) if "It is yours" in text or "everyone" in text or "ack/" in text]
    assert any("It is yours" in text or "take it" in text for text in sent), "the page itself left"
    for text in sent:
        found = [match.group() for match in FORBIDDEN.finditer(_ours_left_out(text))]
        assert found == [], text
    assert any(LINK in text.replace("\\_", "_").replace("\\-", "-").replace("\\.", ".") for text in sent), "ours works"


def test_an_sms_keeps_its_link_whole(recorder: Recorder) -> None:
    link = Link("take it", "https://paramedic.example.org/ack/" + "t" * 80, incident="INC-7")
    subject = "[INC-7] tracking-api on web-1: handed over, and much more of what has happened"
    message = Message(subject, "It is yours. " * 100, "page", incident="INC-7", links=(link,))
    url = f"twilio://AC{'a' * 32}:{'b' * 32}@12025550101/12025550102"
    Teller(Settings(url=SecretStr(url))).send(message)
    [sms] = [text for text in payloads(recorder) if "INC-7" in text]
    assert len(sms) <= 160
    assert sms.startswith("[INC-7] tracking-api")
    assert sms.endswith(link.url)


def _ours_left_out(text: str) -> str:
    """Without our link, and without what the service's own plugin puts around a title."""
    title = re.compile(r"^(# |(?:<flockml>)?<b>|\*\*)|(\*\*)(?=\r?\n)")
    return title.sub("", text.replace(LINK, ""), count=2)


@pytest.mark.parametrize("sly", SLY)
def test_each_markup_is_broken_and_still_read(sly: str) -> None:
    plain = chat_text.plain(f"before {sly}\n{sly}")
    assert FORBIDDEN.findall(plain) == []
    assert plain.replace("\u200b ", "").replace("\u200b", "").replace("\u02cb", "`") == f"before {sly}\n{sly}", (
        "nothing of it is lost"
    )


@pytest.mark.parametrize(
    "text", [LINK, "ben@example.org", "cat <file", "a < b > c", "x = y * 2", "rm /tmp/x_1", "- item", "a|b"]
)
def test_what_is_no_markup_stays_as_it_is(text: str) -> None:
    assert chat_text.plain(text) == text


def test_a_long_text_is_broken_in_no_time() -> None:
    for hostile in (
        "<" * 100_000,
        "[" * 100_000,
        "@" * 100_000,
        "<a" * 50_000,
        "]" * 100_000,
        "!" * 100_000,
        "*" * 100_000,
    ):
        began = time.monotonic()
        chat_text.plain(hostile)
        assert time.monotonic() - began < 3
