"""An incident's timeline as people read it."""

from datetime import UTC, datetime

import pytest
from message_cases import entry

from paramedic.messages.timeline import lines
from paramedic.text.local_time import LocalTime

NEAR = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def timeline(*entries: object, notes: dict[int, str] | None = None, limit: int = 40) -> list[str]:
    return list(lines(entries, LocalTime(), near=NEAR, notes=notes or {}, limit=limit))  # type: ignore[arg-type]


def test_the_steps_of_the_machinery_are_left_out() -> None:
    steps = [entry(what, "r") for what in ("attempt.raised", "run.created", "attempt.began", "claim.taken")]
    assert timeline(*steps, entry("restart.cured", "verified well after it")) == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (entry("restart", "every guardrail agrees", phase="intent"), "restart begins: every guardrail agrees"),
        (entry("roll_back", "every guardrail agrees", phase="intent"), "roll back begins: every guardrail agrees"),
        (entry("roll_back.done", "web-1 answered", phase="outcome"), "roll back done: web-1 answered"),
        (entry("incident.acknowledged", "by the link", actor="person:ada"), "taken by ada: by the link"),
        (entry("of.a.plugin", "its reason"), "of a.plugin: its reason"),
        (entry("person.told", "ada was told by email", actor="pager"), "paged: ada was told by email"),
    ],
)
def test_a_step_is_in_words_with_the_person_who_did_it(step: object, words: str) -> None:
    assert timeline(step) == [f"09:30:01  {words}"]


def test_a_note_is_shown_with_its_text_and_an_erased_one_says_so() -> None:
    note = entry("incident.note", "a person's note", actor="person:ben", seq=4)
    assert timeline(note, notes={4: "the deploy did it"}) == ["09:30:01  note by ben: the deploy did it"]


def test_a_long_one_is_cut_at_its_beginning() -> None:
    steps = [entry("alert.firing", f"said {number} times") for number in range(50)]
    assert timeline(*steps, limit=3)[0] == "… 47 earlier entries are in `paramedic incident show`"
    assert timeline(*steps, limit=3)[-1].endswith("said 49 times")


def test_what_comes_from_outside_stays_on_its_line() -> None:
    [line] = timeline(entry("alert.firing", "x\n10:00:00  over: all is well\x1b[2J"))
    assert "\n" not in line
    assert "\x1b" not in line
