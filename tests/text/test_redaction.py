"""A secret that Paramedic knows leaves in no form; one that it does not know, hardly."""

import base64
import html
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.settings import load_settings
from paramedic.text import redaction
from paramedic.text.redaction import (
    REPLACEMENT,
    forget_all,
    hush_logging,
    redact,
    redact_known,
    redact_start,
    redacted,
    remember,
)

VALUE = 'p4ss/w&rd+ü<">x'


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    forget_all()
    remember(VALUE)
    yield
    forget_all()


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        html.escape(VALUE),
        json.dumps(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_known_secret_is_taken_out_in_every_form(form: str) -> None:
    clean = redact(f"before {form} after")
    assert REPLACEMENT in clean
    assert form.strip('"')[:10] not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


@given(before=st.text(max_size=8), after=st.text(max_size=8))
def test_a_known_secret_inside_a_longer_encoded_text_is_taken_out(before: str, after: str) -> None:
    remember(VALUE)
    encoded = base64.b64encode(f"{before}{VALUE}{after}".encode()).decode()
    inner = base64.b64encode(VALUE.encode()).decode()[4:-6]
    assert inner not in redact(encoded)
    assert REPLACEMENT in redact(encoded)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("postgresql://paramedic:hunter22@db/x", "hunter22"),
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        ("password=hunter22 next", "hunter22"),
        ('{"api_key": "hunter2222"}', "hunter2222"),
        ("ghp_0123456789abcdefghij", "0123456789"),
        ("xoxb-0123456789-abcdefghij", "0123456789"),
        ("AKIAABCDEFGHIJKLMNOP", "ABCDEFGHIJ"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, gone: str) -> None:
    assert gone not in redact(text)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("password: hunter22", "hunter22"),
        ("password: pa$$word", "pa$$word"),
        ("token: 8472910473", "8472910473"),
        ("secret: correcthorsebatterystaplecorrect", "correcthorse"),
        ("password=letmein&x=1", "letmein"),
        ('{"password": "letmein"}', "letmein"),
        ("PASSWORD=$2b$12$abcdefghijk", "abcdefghijk"),
        ("secret=JBSWYPDPEHPKAPXPQQQQ", "JBSWYPDP"),
        ("Authorization: Basic hunterhunter", "hunterhunter"),
        ("curl -H 'Authorization: Bearer lettersalone'", "lettersalone"),
        ("Basic YWRhOmh1bnRlcg==", "YWRhOmh1"),
        ("basic dXNlcjpwYXNz", "dXNlcjpw"),
        ("bearer 5f9c0c1e-1111-4222-8333-944455566677", "5f9c0c1e"),
        ("bearer abcdefghijklmnopqrstuvwxyz", "abcdefgh"),
        ("sk-ant-api03-Ab1cdefghijk9", "cdefghijk"),
        ("sk_live_51HabcdefghijkLMN", "51Habcdef"),
        ("amqp://guest:letmein@queue/", "letmein"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_where_prose_might_stand_too(text: str, gone: str) -> None:
    assert gone not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Basic information about the service",
        "the bearer expired, and Basic Authentication is off",
        "basic configuration of PostgreSQL",
        "Basic understanding/knowledge of it",
        "Get a token: `vault login`",
        "get a token: vault login -method=oidc",
        "password: the vault has it",
        "the password: ask Ada",
        "Password: see **Vault**, under `shop`.",
        "secret: rotated, see CHG-12",
        "pwd: /srv/tracking2api/current",
        "PWD=/srv/tracking2api",
        "token: <your-token-42>",
        "password=<the one of the vault>",
        "TOKEN=$TOKEN2 and password=${PASSWORD_1}",
        "api_key=YOUR_API_KEY",
        "token: [redacted]",
        "password=********",
        "password: xxxxxxxx",
        '"token": null',
        "has_token=false password=required token=expired",
        "postgresql://ada:<password>@db/x or postgresql://ada:$PASSWORD@db/x or postgresql://ada:PASSWORD@db/x",
        "sk-learn-contrib-pipeline and pk-of-the-orders-table",
        "Passwort und token: geheimnisträger",
    ],
)
def test_words_paths_and_placeholders_are_no_secrets(text: str) -> None:
    assert redact(text) == text


def test_what_an_author_wrote_loses_what_is_known_and_nothing_else() -> None:
    written = "password=letmein, Bearer abcdefgh12345, ghp_0123456789abcdefghij"
    assert redact_known(written) == written
    for form in (VALUE, quote(VALUE, safe=""), html.escape(VALUE)):
        assert redact_known(f"log in with {form}, then") == f"log in with {REPLACEMENT}, then"


def test_a_webhooks_secret_is_taken_out_where_it_stands_alone() -> None:
    assert redact("rotate whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw now") == f"rotate {REPLACEMENT} now"


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("https://hc-ping.com/5f9c0c1e-1111-4222-8333-944455566677", "5f9c0c1e-1111-4222-8333-944455566677"),
        ("https://kuma.example.org/api/push/aB3dE6gH9k?status=up&msg=OK", "aB3dE6gH9k"),
        ("https://up.example.org/ping?key=a-long-key-of-letters-alone", "a-long-key-of-letters-alone"),
        ("https://up.example.org/p/tok%2Fen-0123456789abcdef", "tok/en-0123456789abcdef"),
    ],
)
@pytest.mark.parametrize(
    "form", [str, lambda secret: quote(secret, safe=""), lambda secret: base64.b64encode(secret.encode()).decode()]
)
def test_the_token_in_the_heartbeats_url_is_taken_out_where_it_stands_alone(
    url: str, token: str, form: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMEDIC_HEARTBEAT_URL", url)
    load_settings()
    assert form(token) not in redact(f"GET /{form(token)} was refused")
    assert redact("up.example.org/ping status=up api push") == "up.example.org/ping status=up api push"


def test_the_key_of_a_webhooks_secret_is_known_without_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"a key that both sides know").decode()
    monkeypatch.setenv("PARAMEDIC_CHANNELS", json.dumps({"ops": {"url": "https://here/x", "secret": f"whsec_{key}"}}))
    load_settings()
    assert key not in redact(f"the key {key} is wrong")


def test_lists_and_mappings_are_cleaned_through_and_through() -> None:
    assert redacted({"a": [VALUE, {VALUE: 1}], "b": 2}) == {"a": [REPLACEMENT, {REPLACEMENT: 1}], "b": 2}


def test_a_short_value_is_no_secret() -> None:
    remember("the")
    assert redact("the log") == "the log"


def test_a_megabyte_of_hostile_text_takes_linear_time() -> None:
    for hostile in ("password" * 130_000, "a://" * 260_000, "-----BEGIN PRIVATE KEY-----" * 40_000, "eyJ" * 350_000):
        began = time.perf_counter()
        redact(hostile)
        assert time.perf_counter() - began < 5, "a bound for a hang, not a figure"


_PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *(
                "password",
                "PASSWD",
                "pwd=",
                "ſecret:",
                "to\N{KELVIN SIGN}en",
                "api-key",
                "acceß_key",
                "=",
                ": ",
                '"',
                "[secret]",
            ),
            *(
                "basıc ",
                "BASİC ",
                "Bearer  ",
                "abcdefgh12345",
                "eyJ",
                "abcdefghi",
                ".",
                "sk-",
                "gho_",
                "AKIA",
                "\0",
                "@",
            ),
            *(
                "ABCDEFGHIJKLMNOP",
                "a://b:",
                "-----BEGIN PRIVATE KEY-----",
                "-----END PRIVATE KEY-----",
                VALUE,
                VALUE[:-1],
            ),
        ]
    ),
)
_TEXTS = st.lists(_PIECES, max_size=8).map("".join)


def _by_every_pattern(text: str) -> str:
    """What `redact` promises, without its short cuts."""
    assert redaction._pattern is not None
    text = redaction._pattern.sub(REPLACEMENT, text)
    for shape in redaction._SHAPES:
        text = shape.pattern.sub(shape.instead, text)
    return redaction._without_private_keys(text)


@given(text=_TEXTS)
def test_what_is_looked_for_first_never_saves_a_pattern_that_would_have_matched(text: str) -> None:
    remember(VALUE)
    assert redact(text) == _by_every_pattern(text)


@given(texts=st.dictionaries(_TEXTS, _TEXTS, max_size=4))
def test_a_mapping_that_is_looked_at_as_a_whole_is_as_clean_as_one_by_one(texts: dict[str, str]) -> None:
    remember(VALUE)
    one_by_one = {_by_every_pattern(key): _by_every_pattern(value) for key, value in texts.items()}
    assert redacted(texts) == one_by_one


@pytest.mark.parametrize("letter", "abceikoprstw")
def test_every_letter_that_a_pattern_takes_for_another_is_looked_for(letter: str) -> None:
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    for found in re.findall(f"(?i){letter}", everything):
        assert letter in redaction._folded(found)


@pytest.mark.parametrize("known", [VALUE, "k" * 9000])
@pytest.mark.parametrize("shift", [-9000, -12, -1, 0, 1, 9000])
def test_the_start_of_a_long_text_is_redacted_as_the_whole_is_and_shows_no_part_of_a_secret(
    known: str, shift: int
) -> None:
    remember(known)
    limit = 10_000
    for at in (limit, limit + 2 * 16_384, limit + 2 * len(known)):
        text = ("short? " + known) * 3 + "x" * (at + shift) + known + "y" * 200_000
        start = redact_start(text, limit)
        assert redact(text).startswith(start)
        assert known[:8] not in start


def test_how_much_of_a_long_text_is_looked_at_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    monkeypatch.setattr(redaction, "redact", lambda text: looked_at.append(len(text)) or text)
    for length in (1_000, 1_000_000, 50_000_000):
        redaction.redact_start("x" * length, 65_536)
    assert looked_at == [1_000, *[looked_at[1]] * 2]
    assert looked_at[1] < 200_000


def test_no_logger_prints_it_not_even_in_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    factory = logging.getLogRecordFactory()
    hush_logging()
    try:
        try:
            raise ValueError(VALUE)
        except ValueError:
            logging.getLogger("somebody.else").exception("it was %s", VALUE)
    finally:
        logging.setLogRecordFactory(factory)
    assert VALUE not in caplog.text
    assert REPLACEMENT in caplog.text
