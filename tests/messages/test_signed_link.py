"""A link says one thing to one person for a time, and nobody else can write one."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from paramedic.messages.signed_link import (
    _APPROVAL_SALT,
    _SALT,
    Acknowledgement,
    Approving,
    BadLink,
    read,
    read_approval,
    sign,
    sign_approval,
)
from paramedic.remediation.approval import code

KEY = b"0123456789abcdef0123456789abcdef"
STORE = "3f0c1a52-6f2e-4a34-9a43-0d6c4e7d3f11"
WHAT = Acknowledgement(STORE, 42, "ada")
DAY = timedelta(hours=24)


@given(st.builds(Acknowledgement, st.text(), st.integers(1, 10**17), st.text()))
def test_a_link_says_what_was_signed_and_fits_a_path(what: Acknowledgement) -> None:
    token = sign(KEY, what)
    assert read(KEY, token, DAY) == what
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_one_character_changed_is_a_bad_link() -> None:
    token = sign(KEY, WHAT)
    for place in range(len(token) - 1):  # the last character of a signature carries bits that count for nothing
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(BadLink, match="not one of ours"):
            read(KEY, token[:place] + other + token[place + 1 :], DAY)


@given(st.text())
def test_anything_else_is_a_bad_link_and_no_crash(token: str) -> None:
    with pytest.raises(BadLink):
        read(KEY, token, DAY)


def test_another_key_signs_no_link_of_ours() -> None:
    with pytest.raises(BadLink, match="not one of ours"):
        read(b"another key, not ours", sign(KEY, WHAT), DAY)


def test_a_link_expires() -> None:
    with time_machine.travel(datetime(2026, 1, 31, 9, 30, tzinfo=UTC), tick=False) as clock:
        token = sign(KEY, WHAT)
        clock.shift(DAY)
        assert read(KEY, token, DAY) == WHAT
        clock.shift(timedelta(seconds=1))
        with pytest.raises(BadLink, match="expired"):
            read(KEY, token, DAY)


def test_a_link_from_the_future_is_none() -> None:
    with time_machine.travel(datetime(2026, 1, 31, 9, 30, tzinfo=UTC), tick=False) as clock:
        token = sign(KEY, WHAT)
        clock.shift(timedelta(hours=-1))
        with pytest.raises(BadLink):
            read(KEY, token, DAY)


@pytest.mark.parametrize("signed", [[], [STORE, "42", "ada"], {"store": STORE}, [STORE, 42, "ada", "more"], None])
def test_a_signed_link_that_says_something_else_is_refused(signed: object) -> None:
    with pytest.raises(BadLink, match="nothing that we know"):
        read(KEY, URLSafeTimedSerializer(KEY, salt=_SALT).dumps(signed), DAY)


def test_a_signature_made_for_another_purpose_is_no_link() -> None:
    token = URLSafeTimedSerializer(KEY, salt="approval").dumps([STORE, 42, "ada"])
    with pytest.raises(BadLink, match="not one of ours"):
        read(KEY, token, DAY)


def test_an_approval_link_is_no_acknowledgement_and_none_is_an_approval() -> None:
    asked = Approving(STORE, 42, "ada")
    token = sign_approval(KEY, asked)
    assert read_approval(KEY, token, DAY) == asked
    with pytest.raises(BadLink, match="not one of ours"):
        read(KEY, token, DAY)
    with pytest.raises(BadLink, match="not one of ours"):
        read_approval(KEY, sign(KEY, WHAT), DAY)
    with pytest.raises(BadLink, match="nothing that we know"):
        read_approval(KEY, URLSafeTimedSerializer(KEY, salt=_APPROVAL_SALT).dumps(["x"]), DAY)


@given(st.text(), st.integers(1, 10**17), st.text())
def test_a_code_is_eight_digits_and_the_same_each_time(store: str, number: int, person: str) -> None:
    digits = code(KEY, store, number, person)
    assert len(digits) == 8
    assert digits.isascii()
    assert digits.isdigit()
    assert code(KEY, store, number, person) == digits


def test_a_code_is_for_one_person_one_question_one_store_and_one_key() -> None:
    codes = {
        code(KEY, STORE, 42, "ada"),
        code(KEY, STORE, 42, "bob"),
        code(KEY, STORE, 43, "ada"),
        code(KEY, "another", 42, "ada"),
        code(b"another key, not ours", STORE, 42, "ada"),
    }
    assert len(codes) == 5
