"""The report tells the whole story; whatever its data says, the document's structure is the same (P7)."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from databases import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from store_states import ALIVE, DEADLINE, NINE, TARGET, alert, claimed, intended, opened, working

from paramedic.alerts.alert import Severity, Status
from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.incidents.report import EVIDENCE_LIMIT, Story, as_json, markdown, questions, spans
from paramedic.remediation.guardrail import Budget
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.store import Store, acts, attempts, deliveries, evidence, intents, kill_switch, lifecycle, messages
from paramedic.store.incident_story import story
from paramedic.text.redaction import forget_all, remember
from paramedic.text.sanitize import one_line

#: What a pattern for unknown secrets would cut, and its author needs.
PROSE = "Basic information: get a token: `vault login`, password=letmein, sk-0123456789abcdefghij"

RUNBOOK = "---\n---\n# Slow\n\n**Meaning.** m\n\n**Impact.** {impact}\n\n## Diagnosis\n\nd\n\n## Mitigation\n\n1. m\n"


def written(text: str) -> Story:
    """A story in which every word that comes from outside is this text."""
    at = "2026-01-31T09:00:00.000000Z"
    entry = Entry(
        seq=1,
        at=at,
        actor=f"person:{text}",
        phase="decision",
        what="restart.refused",
        incident="INC-7",
        target=text,
        reason=text,
        data={"guardrail": "budget", "attempt": 1},
        content_digest=None,
        previous="",
        hash="",
        schema=1,
    )
    incident = Incident(
        store="s",
        number=7,
        service=text,
        target=text,
        title=text,
        severity=Severity.CRITICAL,
        state=State.RESOLVED,
        attempt=1,
        policy="default",
        opened_at=NINE,
        runbook=text,
        ending=Ending.REMEDIATED,
        because=text,
        acknowledged_by=text,
    )
    act = {"id": 1, "attempt": 1, "rung": 1, "target": text, "remedy": text, "written_at": NINE}
    row = {"name": text, "severity": "critical", "status": "firing", "starts_at": NINE, "count": 1}
    message = {"kind": "rung", "rung": 0, "state": "unreachable", "person": text, "due_at": NINE, "sent_at": None}
    return Story(
        incident=incident,
        now=NINE,
        runbook=RUNBOOK.format(impact=f"x{text}".replace("\n", " ").replace("\r", " ")),
        timeline=[entry],
        acts=[act | {"result": "unknown", "why": text, "closed_at": NINE}],
        alerts=[row | {"labels": {text: text}}],
        evidence=[{"kind": text, "taken_at": NINE, "attempt": 1, "body": text}],
        messages=[message | {"last_error": text}],
        notes={1: text},
    )


def structure(text: str) -> list[str]:
    """What a reader that is none of ours makes of it: every element, without its words."""
    found: list[str] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        found.append(f"{token.type} {token.tag}")
        found += [f"  {child.type} {child.tag}" for child in token.children or []]
    return found


def read_title(text: str) -> str:
    title = next(token for token in MarkdownIt("commonmark").parse(text) if token.type == "inline")
    return "".join(child.content for child in title.children or []).replace("@\u2060", "@")


PLAIN = structure(markdown(written("word")))

HOSTILE = [
    "<script>alert(1)</script>",
    "[click](https://evil.example/)",
    "![pixel](https://evil.example/p.png)",
    "<https://evil.example/>",
    "*a* _b_ **c** `d` ~~e~~",
    "``` \n# heading\n```",
    "\n\n# heading\n\n- item\n\n| a | b |\n|---|---|\n",
    "&lt;b&gt; &#64; &amp;",
    "---",
    "===",
    "1. one",
    "- [ ] task",
    "> quote",
    "\\",
    "a\\`b`",
    "line\r\n\r\n    code",
    "[x]: https://evil.example/",
    "\u202ereversed\x1b[2J",
    "\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_change_nothing_of_the_report_s_structure(text: str) -> None:
    page = markdown(written(text))
    assert structure(page) == PLAIN
    assert read_title(page) == f"INC-7: {one_line(text)} on {one_line(text)}"


def test_the_runbook_s_prose_makes_no_block_of_its_own() -> None:
    def with_impact(*lines: str) -> list[str]:
        return structure(markdown(replace(written("word"), runbook=RUNBOOK.format(impact="\n".join(lines)))))

    hostile = [
        "It is bad.",
        "- one",
        "===",
        "+ one",
        "1. one",
        "12) one",
        "a | b",
        "---|---",
        "> quote",
        "```",
        "# c",
        "```",
        ": b",
    ]
    assert with_impact(*hostile) == with_impact(*["It is bad."] * len(hostile))


words = st.text(max_size=30) | st.lists(st.sampled_from([*"\\`*_[]()<>#+-=.!|~&:/$^@\n\r\t 1a\"'"]), max_size=20).map(
    "".join
)


@settings(deadline=None)
@given(words.filter(bool))  # without any words, lines are missing
def test_no_words_change_the_report_s_structure_and_all_are_there_to_read(text: str) -> None:
    page = markdown(written(text))
    assert structure(page) == PLAIN
    shown = one_line(text) or "(nothing)"
    assert read_title(page) == f"INC-7: {shown} on {shown}"


@pytest.mark.parametrize(
    "text", ["https://evil.example/x", "www.evil.example", "WWW.1and1.example", "ada@evil.example"]
)
def test_nothing_becomes_a_link_in_a_reader_that_makes_links_of_plain_text(text: str) -> None:
    """GitHub's and others' extended autolinks look for these in the source, or in the text for an address' shape."""
    page = markdown(written(text))
    for sign in ("s://", "www.", "WWW.", "a@e", "evil.example"):
        assert sign not in page.split("## Evidence")[0]
    shown = "".join(token.content for block in MarkdownIt("commonmark").parse(page) for token in block.children or [])
    assert "a@e" not in shown


def test_control_characters_are_shown_and_secrets_are_not_cut_in_half() -> None:
    page = markdown(written("a\x1b]0;mine\x07b\u202ec"))
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\\\x1b" in page


def test_evidence_that_is_too_long_is_cut_and_says_so() -> None:
    whole = written("word")
    long = replace(whole, evidence=[{"kind": "log", "taken_at": NINE, "attempt": 1, "body": "x" * 20_000 + "END"}])
    page = markdown(long)
    assert f"{20_003 - EVIDENCE_LIMIT} characters before this" in page
    assert page.count("x") < EVIDENCE_LIMIT + 1_000
    assert "END" in page


# --- the story, from a real store -----------------------------------------------------------------------------------


@pytest.fixture
def number(timed: Store, clock: Clock) -> int:
    """Refused while paused, then restarted, then cured; somebody was told, and an alert still fires."""
    claim = working(timed, rungs=2)
    limits = Guardrails("act", {"budget": Budget(3, timedelta(hours=1))})
    with timed.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a look")
        intents.intend(tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=limits)
        kill_switch.resume(tx, by="ada", reason="seen")
        evidence.add(tx, claim.incident, 1, kind="memory", taken_at=clock.now(), body="full\n# no heading")
    clock.advance(timedelta(seconds=5))
    with timed.record() as tx:
        act = intended(tx, claim, limits=limits)
    clock.advance(timedelta(seconds=2))
    with timed.record() as tx:
        acts.close(tx, act, result="done", why="it answered", actor=claim.holder)
        messages.queue_resolution(tx, incident=claim.incident, policy="default")
        deliveries.sent(tx, messages.of(tx, claim.incident)[0].id, person="ben")
    clock.advance(timedelta(seconds=60))
    with timed.record() as tx:
        acts.close(tx, act, result="cured", why="verified well after it", actor=claim.holder)
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.REMEDIATED, "it helped"), actor=claim.holder)
    return claim.incident


def test_the_report_tells_what_was_done_and_by_which_guardrail(timed: Store, number: int) -> None:
    with timed.read() as tx:
        page = markdown(story(tx, number))
    for words_ in (
        f"# INC-1: TrackingApiMemory on {TARGET}",
        "- State: resolved, remediated",
        "- Until the first change: 5s",
        "- Until the end: 1m 7s",
        "- 2026-01-31T09:30:05Z, attempt 1, rung 1: restart of",
        "  - allowed by: kill switch: off; ",
        "budget: 0 of 3 within 1h",
        "by the guardrail kill switch: acting is paused: everything, by ada since",
        "5s later: restart by the run of attempt 1: every guardrail agrees",
        "- Alert TrackingApiMemory: critical, firing",
        "- 2026-01-31T09:30:07Z: news, sent to ben",
        "    full\n    # no heading",
        "- What was the cause? A cure is none.",
        "- Was it right that the guardrail kill switch said no?",
        "- Does TrackingApiMemory still fire?",
    ):
        assert words_ in page, words_


def test_the_report_for_programs_says_the_same(timed: Store, number: int) -> None:
    with timed.read() as tx:
        answer = as_json(story(tx, number))
    json.dumps(answer, default=str)
    assert answer["spans"] == {"first change": 5.0, "first person told": 7.0, "end": 67.0}
    assert answer["acts"][0]["result"] == "cured"
    assert "budget: 0 of 3 within 1h" in answer["acts"][0]["guardrails"]
    assert [refusal["guardrail"] for refusal in answer["refusals"]] == ["kill switch"]
    assert answer["incident"]["id"] == "INC-1"


def test_what_is_not_over_and_what_nobody_knows_is_asked(timed: Store, clock: Clock) -> None:
    claim = working(timed)
    with timed.record() as tx:
        intended(tx, claim)
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.HANDED_OVER, "silent"), actor="watchdog")
        asked = questions(story(tx, claim.incident))
        assert asked == [
            "INC-1 is not over: it is handed_over.",
            f"Did the restart of {TARGET} at 2026-01-31T09:30:00.000000Z happen? Its outcome is open.",
        ]
        lifecycle.acknowledge(tx, claim.incident, by="ben", reason="by the link")
        assert questions(story(tx, claim.incident))[0] == "INC-1 is not over: ben has it."
        open_one = replace(story(tx, claim.incident), runbook=RUNBOOK)
        assert "## What to do\n\n> 1\\. m\n" in markdown(open_one)
        lifecycle.resolve(tx, claim.incident, Outcome(Ending.HANDED_OVER, "it is well"), actor="person:ben")
        over = replace(story(tx, claim.incident), runbook=RUNBOOK)
        assert "## What to do" not in markdown(over)
        assert "What was the cause, and what ended it? Nothing that Paramedic saw." in questions(over)


def test_an_incident_that_ended_refused_is_no_refusal_by_a_guardrail_without_a_name(timed: Store) -> None:
    claim = working(timed)
    with timed.record() as tx:
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.REFUSED, "a deployment is at work"), actor=claim.holder)
        ended = story(tx, claim.incident)
    assert "incident.refused" in [entry.what for entry in ended.timeline]
    assert not [question for question in questions(ended) if "guardrail" in question]
    done = markdown(ended).partition("## What was done")[2].partition("##")[0]
    assert "Z: incident.refused: a deployment is at work" in done.replace("\\", "")
    assert "None" not in done


def test_a_cure_that_did_not_last_and_an_alert_that_nobody_wanted_are_asked_about(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = opened(tx, target="web-2/api", plan=False)
        assert "Which runbook should want these alerts? None did." in questions(story(tx, number))
        again = opened(tx)
        attempts.begin_attempt(tx, again, 1, flow_run="run-1")
        claimed(tx, again)
        lifecycle.resolve(tx, again, Outcome(Ending.RECOVERED, "seen well"), actor="run:run-1")
        assert "Was the alert right? It was well before anything was done." in questions(story(tx, again))
        lifecycle.reopen(tx, again, alert(starts_at=clock.now()), reason="again")
        assert "Why did the cure not last? It began again." in questions(story(tx, again))
        assert "- Opened again: 2026\\" not in markdown(story(tx, again))
        assert "Opened again" in markdown(story(tx, again))


def test_an_empty_story_is_a_report_too() -> None:
    whole: Any = written("word")
    empty = replace(whole, timeline=[], acts=[], alerts=[], evidence=[], messages=[], runbook="")
    page = markdown(empty)
    assert "Nothing was changed, and nothing was refused." in page
    assert "Nobody was told." in page
    assert spans(empty) == {}
    assert Status.FIRING not in page


def test_prose_of_an_author_loses_known_secrets_alone_and_what_comes_from_outside_what_looks_like_one() -> None:
    full = replace(written(PROSE), runbook=RUNBOOK.format(impact=f"{PROSE}, hunter2-of-ours"))
    remember("hunter2-of-ours")
    try:
        shown = markdown(full).replace("\\", "")
    finally:
        forget_all()
    assert f"> {PROSE}, [secret]" in shown
    assert shown.count("letmein") == shown.count("sk-0123456789abcdefghij") == 1
