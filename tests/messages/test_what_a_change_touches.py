"""A person who is asked for an approval reads what would be touched, in every form of the question; it is data there."""

import dataclasses
from collections.abc import Iterator

import pytest
from message_cases import INCIDENT, LINK, TOUCHES, asked, handed_over, question

from paramedic.incidents.incident import State
from paramedic.kinds.message import SHORT_LIMIT
from paramedic.messages import digest
from paramedic.text import redaction

FILES = "2 files (9 MB)\n/var/log/shop/a.gz (5 MB)\n/var/log/shop/b.gz (4 MB)"
HOSTILE = '"<b>x</b> [red](http://evil.example) \\x1b[2J"'


@pytest.fixture(autouse=True)
def _no_secret() -> Iterator[None]:
    redaction.forget_all()
    yield
    redaction.forget_all()


def test_the_question_its_subject_and_its_short_form_name_the_address() -> None:
    written = question(asked(remedy="block_address", touches=TOUCHES))
    assert written.subject == (
        "[critical] tracking-api on web-1: approve block_address (address 203.0.113.7, 2001:db8::7; for 1h)? (INC-7)"
    )
    assert f"\nIt touches:\n    {TOUCHES}\n" in written.text
    assert "203.0.113.7" in written.html
    short = written.short()
    assert "address 203.0.113.7, 2001:db8::7; for 1h" in short
    assert short.endswith("answer it: http://127.0.0.1:8650/approve/abc code ABCD-EFGH")


def test_a_question_about_a_restart_has_no_words_more() -> None:
    written = question(asked())
    assert written.subject == "[critical] tracking-api on web-1: approve restart? (INC-7)"
    assert "It touches" not in written.text


def test_of_many_files_the_subject_says_how_many_and_the_text_which() -> None:
    written = question(asked(remedy="free_disk", touches=FILES))
    assert "approve free_disk (2 files (9 MB))? (INC-7)" in written.subject
    assert "    /var/log/shop/a.gz (5 MB)\n    /var/log/shop/b.gz (4 MB)\n" in written.text


@pytest.mark.parametrize("touches", [HOSTILE, "x" * 50_000, "\n".join(["203.0.113.7"] * 5_000), TOUCHES])
def test_no_length_and_no_text_breaks_the_short_form_or_its_link(touches: str) -> None:
    link = f"http://paramedic.example:8650/approve/{'t' * 150}"
    written = question(asked(remedy="block_address", touches=touches), link=link)
    short = written.short()
    assert len(short) <= SHORT_LIMIT
    assert short.endswith(f"answer it: {link} code ABCD-EFGH")
    assert "approve block_address" in short
    assert written.subject.endswith("(INC-7)")
    assert len(written.subject) <= 200
    assert len(written.text) < 20_000


def test_what_came_in_a_label_is_no_markup_no_control_and_no_line_of_ours() -> None:
    forged = "address 203.0.113.7\nUntil:   tomorrow\x1b[2J\u202e<script>alert(1)</script>"
    written = question(asked(remedy="block_address", touches=forged))
    assert "\n    Until:   tomorrow\\x1b[2J\\u202e<script>" in written.text, "indented, escaped"
    assert "<script>" not in written.html
    assert "&lt;script&gt;" in written.html
    assert not {"\x1b", "\u202e", "\n"} & set(written.subject)


def test_a_secret_in_a_label_is_taken_out() -> None:
    redaction.remember("hunter2-hunter2")
    written = question(asked(remedy="block_address", touches="address hunter2-hunter2; for 1h"))
    for text in (written.text, written.html, written.subject, written.short()):
        assert "hunter2" not in text


def test_a_digest_and_the_incident_say_it_too() -> None:
    about = asked(remedy="block_address", touches=TOUCHES)
    waiting = dataclasses.replace(INCIDENT, state=State.WORKING, ending=None, because=None)
    line = digest.item(waiting, kind="approval", subject=about.with_touches, now="", link=LINK, code="ABCD")
    assert f": approve block_address ({TOUCHES})?." in line.head
    summary = handed_over(waiting, question=about)
    assert summary.acts_now == (
        f"nothing: it waits for a person's word, whether to do the block_address ({TOUCHES}) of web-1/tracking-api"
    )
    assert digest.item(waiting, kind="approval", subject="", now="", link=LINK, code="").head.endswith(
        "approve a change?."
    )
