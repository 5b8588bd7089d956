"""What a message says, and what it never says."""

import dataclasses
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from incident_states import RUNBOOK
from message_cases import ALERT, BEN, INCIDENT, LINK, NOW, RESTART, cases, entry, handed_over, over, paged

from paramedic.incidents.incident import State
from paramedic.messages import compose, page
from paramedic.messages.summary import Change, Told
from paramedic.text import redaction


@pytest.fixture(autouse=True)
def _no_secret() -> Iterator[None]:
    redaction.forget_all()
    yield
    redaction.forget_all()


def test_what_is_shown_of_an_incident_that_is_over_says_how_it_ended_and_of_no_next_step() -> None:
    sections = page.overview(over(), by="ada")
    did = next(section for section in sections if section.title == "What Paramedic did")
    assert "It ended because: the restart helped, verified" in did.lines
    assert [name for section in sections for name, _ in section.facts if name in ("It is", "Next", "Acting now")] == []


def test_a_page_answers_in_the_order_in_which_one_asks() -> None:
    written = paged()
    assert written.subject == (
        "[critical] tracking-api on web-1: TrackingApiMemory, restarted, still not well: answered 503 (INC-7)"
    )
    wanted = [
        "TrackingApiMemory on web-1/tracking-api (critical)",
        "tracking-api on web-1 holds more than 120 MB",
        "Now:     its alert fires",
        "Since:   Sat 31 Jan 2026 10:30:00 CET",
        "restarted web-1/tracking-api: done",
        "still not well: answered 503",
        "What to do:\n    1. Restart it:",
        "It is:       nobody's yet",
        "Next:        ben, at 10:45:00",
        "Acting now:  nothing",
        "Last time:   INC-3, 3 days ago: remediated",
        f"\n{LINK}\n",
        "or: paramedic incident ack INC-7 --by ada",
        "paramedic incident resolve INC-7 --by ada",
        "paramedic maintenance add --service tracking-api",
        "run:     http://127.0.0.1:4200/runs/flow-run/1234",
    ]
    places = [written.text.index(words) for words in wanted]
    assert places == sorted(places)


def test_times_are_in_the_zone_of_whoever_reads_them() -> None:
    assert "Since:   Sat 31 Jan 2026 09:30:00 UTC" in paged(person=BEN).text
    assert "Times are CET, UTC+01:00." in paged().text


def test_who_had_it_and_for_how_long_is_said_to_whoever_is_told_next() -> None:
    had = dataclasses.replace(INCIDENT, acknowledged_by="ada", acknowledged_at=NOW - timedelta(hours=4))
    assert "nobody's any more; it was ada's since 06:35:00, for 4h" in paged(handed_over(had)).text


def test_a_target_that_is_not_its_services_own_is_named_whole() -> None:
    other = handed_over(dataclasses.replace(INCIDENT, target="db-1/postgres"))
    assert paged(other).subject.startswith("[critical] tracking-api on db-1/postgres: ")


def test_an_open_act_is_named_with_the_way_to_settle_it() -> None:
    change = Change("restart", "web-1/tracking-api", "INC-6", NOW)
    written = paged(handed_over(open_changes=(change,)))
    assert "OPEN: restarted web-1/tracking-api: nobody knows whether it happened (by INC-6)." in written.text
    assert "paramedic incident resolve INC-6 --by ada" in written.text
    assert "Acting now:  nobody knows" in written.text


def test_a_command_that_was_run_is_named() -> None:
    ran = dataclasses.replace(RESTART, remedy="run: clear-cache")
    written = paged(handed_over(changes=(ran,)))
    assert "ran clear-cache on web-1/tracking-api: done" in written.text
    assert ", ran clear-cache, still" in written.subject


def test_whoever_was_told_is_named_once_with_the_last_time() -> None:
    told = (Told("ada", NOW - timedelta(minutes=3)), Told("ada", NOW - timedelta(minutes=1)), Told("ben", NOW))
    assert "Told so far: ada (10:34:00), ben (10:35:00)" in paged(handed_over(told=told)).text


def test_the_alert_that_fires_and_is_worst_speaks_for_all() -> None:
    ended = ALERT | {"status": "resolved", "annotations": {"summary": "an older one"}}
    warns = ALERT | {"severity": "warning", "annotations": {"summary": "a warning"}}
    written = paged(handed_over(alerts=(ended, ALERT, warns)))
    assert written.text.split("\n")[1] == "tracking-api on web-1 holds more than 120 MB"


def test_a_note_is_read_and_its_author_is_named() -> None:
    note = entry("incident.note", "a person's note", actor="person:ben", seq=9)
    assert "note by ben: it was the deploy" in paged(handed_over(timeline=(note,), notes={9: "it was the deploy"})).text


def test_only_the_newest_lines_of_a_log_are_in_the_page() -> None:
    text = paged().text
    assert "… 80 lines before this are in `paramedic incident show --evidence`\n    line 80\n" in text
    assert "line 79\n" not in text


def test_a_long_checklist_leaves_room_for_the_link() -> None:
    steps = "\n".join(f"{number}. do this" for number in range(1, 60))
    text = paged(handed_over(mitigation=steps)).text
    assert text.index("12. do this") < text.index(LINK) < text.index("13. do this") < text.index("59. do this")


@pytest.mark.parametrize(("called", "write"), list(cases()), ids=[called for called, _ in cases()])
def test_the_short_form_fits_and_keeps_its_link(called: str, write: object) -> None:
    written = write()  # type: ignore[operator]
    assert len(written.short()) <= 300
    for link in written.links[:1]:
        assert link.url in written.short(), called


class _Structure(HTMLParser):
    """The tags of a page, and the addresses that it links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]


SLY = (
    "up\r\nBcc: eve@example.org\n\nTake it: http://evil/\x1b[2J\u202e\ud800"
    '<script src="http://evil/">x</script><a href="http://evil/">y</a></pre><img src=http://evil/>"onload="'
)


def test_what_comes_from_outside_can_pass_for_no_word_of_ours() -> None:
    incident = dataclasses.replace(INCIDENT, title=SLY, target=f"web-1/{SLY}", service=SLY, because=SLY)
    alert = ALERT | {
        "name": SLY,
        "labels": {SLY: SLY},
        "annotations": dict.fromkeys(("summary", "description", "runbook_url", "dashboard_url"), SLY),
    }
    written = paged(
        handed_over(
            incident,
            alerts=(alert,),
            timeline=[entry("alert.firing", SLY)],
            evidence=[{"kind": SLY, "taken_at": NOW, "body": SLY}],
            changes=(dataclasses.replace(RESTART, remedy=SLY, target=SLY, why=SLY),),
            open_changes=(dataclasses.replace(RESTART, target=SLY, result=None),),
            mitigation=SLY,
            told=(Told(SLY, NOW),),
        )
    )
    for text in (written.subject, written.text, written.short(), written.html):
        assert not set(text) & {"\x1b", "\u202e", "\ud800", "\r"}
    assert "\n" not in written.subject
    assert len(written.subject) <= 200
    for line in written.text.split("\n"):
        assert not line.startswith(("Bcc:", "Take it: http://evil/")), line
    assert "    Take it: http://evil/\\x1b[2J\\u202e\\ud800" in written.text
    plain = _Structure(paged().html)
    sly = _Structure(written.html)
    assert set(sly.tags) == set(plain.tags)
    assert sly.links == plain.links == [LINK]


def test_a_megabyte_of_label_makes_no_megabyte_of_message() -> None:
    huge = "x" * 1_000_000
    incident = dataclasses.replace(INCIDENT, title=huge, target=huge, service=huge, because=huge)
    pieces = [{"kind": huge, "taken_at": NOW, "body": f"{huge}the end"}] * 20
    alert = ALERT | {"labels": {f"{huge}{n}": huge for n in range(90)}, "annotations": {"description": huge}}
    written = paged(
        handed_over(
            incident,
            alerts=(alert,),
            timeline=[entry("said", huge)] * 100,
            evidence=pieces,
            mitigation=huge,
            changes=(dataclasses.replace(RESTART, remedy=huge, target=huge, why=huge),) * 5,
        )
    )
    assert len(written.text) < 120_000
    assert "the end" in written.text  # the tail of a log is what matters
    assert "60 earlier entries are in" in written.text
    assert "14 older pieces of evidence are in" in written.text
    assert LINK in written.text
    assert written.subject.endswith("(INC-7)")


def test_no_secret_is_told_whole_or_in_part() -> None:
    redaction.remember("hunter2-and-more")
    leak = "password is hunter2-and-more"
    cut_in_the_middle = f"{'x' * 100}hunter2-and-more{'y' * (page.EVIDENCE_LIMIT - 8)}"
    alert = ALERT | {"labels": {"a": leak}, "annotations": {"summary": leak, "description": leak}}
    written = paged(
        handed_over(
            dataclasses.replace(INCIDENT, title=leak, because=leak, service=leak),
            alerts=(alert,),
            timeline=[entry("said", leak)],
            evidence=[{"kind": leak, "taken_at": NOW, "body": cut_in_the_middle}],
            mitigation=leak,
            changes=(dataclasses.replace(RESTART, why=leak, result="failed"),),
            notes={1: leak},
        )
    )
    about_us = compose.internal_alert(leak, leak, now=NOW)
    for text in (written.subject, written.text, written.html, about_us.subject, about_us.text):
        assert "hunter2" not in text
        assert "and-more" not in text
    assert LINK in written.text  # which no pattern of a secret may break


def test_without_a_link_the_command_line_is_left() -> None:
    text = paged(link="").text
    assert (
        "Take it (stops further pages for 4h, and every further change by Paramedic):\nparamedic incident ack INC-7"
        in text
    )


def test_a_resolution_asks_for_nothing() -> None:
    ended = dataclasses.replace(INCIDENT, state=State.RESOLVED, because="the restart helped")
    written = compose.resolution(handed_over(ended), person=BEN)
    assert "/ack/" not in written.text
    assert not written.links


def test_the_mitigation_is_the_whole_checklist_and_no_more() -> None:
    found = compose.mitigation_of(RUNBOOK)
    assert found.startswith("1. Restart it:")
    assert "   # as root\n" in found
    assert found.endswith("3. Wake the owner.")
    assert compose.mitigation_of("# None\n\nNothing.\n") == ""
    bold = "**Meaning.** Bad.\n**Mitigation.** Restart it.\nThen look.\n**Impact.** Dinner.\n"
    assert compose.mitigation_of(bold) == "Restart it.\nThen look."


def test_every_message_says_when_and_by_whom() -> None:
    for called, write in cases():
        assert re.search(r"Sent Sat 31 Jan 2026 [\d:]+ (CET|UTC) by Paramedic", write().text), called


def test_prose_of_a_runbook_is_paged_as_it_was_written_but_for_secrets_that_are_known() -> None:
    prose = "Basic information: get a token: `vault login`, password=letmein"
    redaction.remember("hunter2-of-ours")
    runbook = RUNBOOK.replace("It holds", f"{prose}. It holds").replace("2. Give", f"2. {prose}; hunter2-of-ours. Give")
    summary = handed_over(
        dataclasses.replace(INCIDENT, because="it said password=letmein"),
        runbook=runbook,
        mitigation=compose.mitigation_of(runbook),
    )
    written = paged(summary).text
    assert f"Meaning: {prose}. It holds" in written
    assert f"2. {prose}; [secret]. Give" in written
    assert "password=[secret]" in written
