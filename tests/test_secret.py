"""A secret that Paramedic knows leaves in no form; one that it does not know, hardly."""

import base64
import html
import json
import logging
import time
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.secret import REPLACEMENT, forget_all, hush_logging, redact, redacted, remember

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
