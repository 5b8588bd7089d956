"""The short form of a message: at most 300 characters, and its link whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramedic.kinds.message import SHORT_LIMIT, Link, Message

_WORDS = st.text(min_size=1, max_size=2_000)
_TOKENS = st.text("abcXYZ019-_.", min_size=1, max_size=400)


@given(subject=_WORDS, token=_TOKENS, code=st.sampled_from(["", "123456"]), limit=st.integers(100, SHORT_LIMIT))
def test_it_is_short_and_its_link_is_whole_or_not_there(subject: str, token: str, code: str, limit: int) -> None:
    link = Link("take it", f"https://paramedic.example.org/ack/{token}", code, "INC-7")
    short = Message(subject, "x" * 10_000, incident="INC-7", links=(link,)).short(limit)
    assert len(short) <= limit
    if len(link.address) <= limit - 13:
        assert short.endswith(link.address)
    else:
        assert "https:" not in short.replace(subject[:limit], ""), "a part of a link leads nowhere"
        assert "too long" in short


def test_what_is_cut_is_the_words_before_the_link() -> None:
    link = Link("answer it", "https://here/approve/token", "123456", "INC-7")
    message = Message("a" * 500, "", incident="INC-7", links=(link,))
    words, _, answer = message.short().partition("\n")
    assert answer == "answer it: https://here/approve/token code 123456"
    assert words == "a" * (SHORT_LIMIT - len(answer) - 1 - 3) + "..."


def test_the_label_goes_before_the_link_does() -> None:
    link = Link("take it", "https://here/" + "t" * 127, incident="INC-7")
    short = Message("down " * 50, "", incident="INC-7", links=(link,)).short(160)
    assert short == f"down down down d...\n{link.url}"


def test_a_digest_says_which_incident_its_link_takes() -> None:
    link = Link("take it", "https://here/ack/t", incident="INC-9")
    assert Message("5 messages", "", links=(link,)).short() == "5 messages\nINC-9, take it: https://here/ack/t"


@pytest.mark.parametrize("subject", ["down", "d" * 299, "d" * 301])
def test_without_a_link_it_is_its_subject(subject: str) -> None:
    assert Message(subject, "").short() == (subject if len(subject) <= SHORT_LIMIT else "d" * 297 + "...")


def test_it_has_one_id_and_one_thread_for_each_incident_whoever_gets_it() -> None:
    written = Message("down", "It is down.", incident="INC-7")
    first, second = written.addressed("ada", 12, "store"), written.addressed("ben", 13, "store")
    assert (first.id, second.id, first.thread, second.thread) == ("12.store", "13.store", "INC-7.store", "INC-7.store")
    assert written.addressed("ada", 12, "store") == first
    assert Message("x", "").addressed("ada", 12, "store").thread == ""
