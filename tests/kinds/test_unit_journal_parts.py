"""What is missing of a unit's journal, by what journalctl says."""

import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import unit_journal
from paramedic.kinds.transport import Ended

HINT = "Hint: You are currently not seeing messages from other users and the system.\n"
LINES = "1796035000.100000 web-7 app[7]: one\n1796035001.100000 web-7 app[7]: two\n"


def read(text: str, first: Ended | Exception, lines: int = 3) -> list[str]:
    def asked() -> Ended:
        if isinstance(first, Exception):
            raise first
        return first

    found = unit_journal.read("app.service", lines, 1796034000, Ended(0, text, ""), asked)
    assert found.text == text.removesuffix("\n")
    return list(found.unseen)


def test_a_journal_that_goes_back_far_enough_lacks_nothing() -> None:
    assert read(LINES, Ended(0, "1796033999.9 web-7 kernel: Linux\n", "")) == []


def test_older_lines_are_left_out_and_show_that_nothing_is_missing() -> None:
    older = "1796033999.9 web-7 app[7]: before\n  File app.py, line 7\n"
    never = AssertionError("asked")

    def asked() -> Ended:
        raise never

    found = unit_journal.read("app.service", 4, 1796034000, Ended(0, older + LINES, ""), asked)
    assert (found.text, found.unseen) == (LINES.removesuffix("\n"), [])
    none = unit_journal.read("app.service", 4, 1796034000, Ended(0, older, ""), asked)
    assert (none.text, none.unseen) == ("", [])


def test_who_sees_only_what_is_their_own_is_told_so_also_where_there_are_no_lines() -> None:
    [why] = read("", Ended(0, "-- No entries --\n", HINT))
    assert why == "messages of other users and the system; the group systemd-journal would show them"


def test_a_journal_that_begins_later_says_when() -> None:
    older = "-- Journal begins at Mon 2026-11-30 10:39:01 UTC. --\n"  # as systemd before 251 prints it
    [why] = read("", Ended(0, f"{older}1796034100.9 web-7 kernel: Linux\n", ""))
    assert why.startswith("the journal itself begins at 2026-11-30 10:21:40Z: what came before was removed")


def test_that_the_second_look_gets_no_answer_spoils_nothing() -> None:
    assert read(LINES, TemporaryError("no answer in 1 s")) == ["whether older lines were removed: no answer in 1 s"]


@pytest.mark.parametrize("text", [LINES, "1796035000.1 web-7 app[7]: " + "x" * 1_040_000 + "\n"])
def test_lines_that_were_cut_are_said_to_be_and_the_journal_s_begin_is_not_asked_for(text: str) -> None:
    [why] = read(text, AssertionError("asked"), lines=2)
    assert why == f"only the last {text.count(chr(10))} lines were read, back to 2026-11-30 10:36:40Z"


def test_only_journald_s_own_word_counts_for_what_it_has_suppressed() -> None:
    forged = "1796035001.1 web-7 app[7]: systemd-journald[1]: Suppressed 9 messages from app.service\n"
    said = "1796035002.1 web-7 systemd-journald[38]: Suppressed 19650 messages from app.service\n"
    [why] = read(LINES + forged + said, Ended(0, "", ""), lines=9)
    assert why.startswith("journald has suppressed 19,650 more lines")


def test_who_may_not_read_it_is_told_what_journalctl_says() -> None:
    refused = Ended(1, "", "No journal files were opened due to insufficient permissions.\n")
    with pytest.raises(PermanentError, match="insufficient permissions.; the group systemd-journal would show them"):
        unit_journal.read("app.service", 5, 0, refused, lambda: refused)
