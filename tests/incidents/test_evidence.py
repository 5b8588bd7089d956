"""Every kind of evidence that a runbook may ask for is offered by some kind of target, and says why where it cannot be had."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from incident_states import handed_over
from message_cases import BEN

from paramedic.catalog import target_kinds
from paramedic.catalog.front_matter import _With
from paramedic.change.gathering import NOT_SEEN, gather, pieces
from paramedic.doors import reading
from paramedic.incidents import report
from paramedic.incidents.evidence import LIMIT, Evidence, bounded
from paramedic.integrations.targets import supervisord
from paramedic.kinds import registry
from paramedic.kinds.evidence import LOG_TAIL, FromBeginning, Of, word
from paramedic.kinds.registry import Room
from paramedic.machine.clock import utc_now
from paramedic.messages import page
from paramedic.remediation.target import Target
from paramedic.store import Store, evidence, incident_page, incident_summary
from paramedic.store.incident_story import story


def gathered(target: Target, *kinds: str) -> list[Evidence]:
    return pieces(gather(target, kinds, since=utc_now(), patience=timedelta(seconds=20)))


def test_what_a_runbook_may_ask_for_is_what_target_kinds_offer() -> None:
    allowed = _With.model_json_schema()["properties"]["evidence"]["items"]["enum"]
    plugins = {word(name) for name in registry.current().names(Room.EVIDENCE)}
    assert len(plugins) >= 5
    of_processes = {"process-tree", "memory", "log-tail", "journal"}
    own = {name for kind in target_kinds.usable().values() for name in kind.EVIDENCE} | {LOG_TAIL}
    assert own >= of_processes
    assert set(allowed) == set(target_kinds.evidence()) == own | plugins
    assert own & plugins == set(), "a word means one thing"
    assert set(target_kinds.evidence("supervisord")) == of_processes - {"journal"} | plugins


def test_evidence_of_a_process_or_a_host_is_offered_where_there_is_one() -> None:
    plugins = {word(name): kind.OF for name, kind in registry.current().usable(Room.EVIDENCE).items()}
    for kind, module in target_kinds.usable().items():
        offered = {plugins[name] for name in target_kinds.evidence(kind) if name in plugins}
        assert (Of.PROCESS in offered) is hasattr(module, "process_id"), kind
        assert (Of.HOST in offered) is (getattr(module, "REACHED_BY", "machine") == "machine"), kind


def test_a_journal_that_cannot_be_had_says_why() -> None:
    unit = Target("no-such-host/app.service", "tracking", "no-such-host", "systemd", "app.service", "")
    [seen, missing] = gathered(unit, "journal")
    assert (seen.kind, missing.kind) == ("journal", NOT_SEEN)
    assert seen.body.startswith("could not be taken: no-such-host/app.service is a unit of no-such-host")


def test_of_evidence_that_is_too_long_the_newest_end_is_kept() -> None:
    body = "\n".join(f"line {number}" for number in range(10_000))
    shown = bounded(body)
    assert shown.endswith("\nline 9999")
    assert shown.startswith(f"… {len(body) - LIMIT} characters before this left out\n")
    assert bounded(body, from_beginning=True).startswith("line 0\n")
    assert bounded("x" * LIMIT) == "x" * LIMIT


def test_which_end_is_kept_is_declared_with_each_kind_of_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_bytes(b"\x1b" * 12_000 + b"\nthe newest line\n")  # four characters for each byte of it
    target = Target("web-1/shop", "shop", "web-1", "supervisord", "shop", "unix:///none", log=str(tmp_path / "log"))
    lines = "\n".join(f"{number} process" for number in range(10_000))
    kinds = {
        "process-tree": FromBeginning(lambda _target, _transport: lines),
        "journal": lambda _target, _transport: lines,
    }
    monkeypatch.setattr(supervisord, "EVIDENCE", kinds)
    log, journal, tree = gathered(target, "log-tail", "journal", "process-tree")
    assert log.body.endswith("the newest line\n")
    assert journal.body.endswith("\n9999 process")
    assert tree.body.startswith("0 process\n")
    assert [piece.from_beginning for piece in (log, journal, tree)] == [False, False, True]


def test_a_process_tree_keeps_its_root() -> None:
    for kind in ("supervisord", "systemd"):
        target = Target("web-1/shop", "shop", "web-1", kind, "shop", "")
        own = [
            name for name in target_kinds.evidence(kind) if name in ("process-tree", "memory", "journal", "log-tail")
        ]
        assert [name for name in own if reading.begins_with_most(target, name)] == ["process-tree"]


LINES = [f"line {number} {'x' * 60}" for number in range(2_000)]


def _shown(store: Store, *, from_beginning: bool) -> dict[str, str]:
    """Everything that shows a part of a piece of evidence that is too long for it."""
    incident = handed_over(store)
    piece = Evidence("anything", utc_now(), "\n".join(LINES), from_beginning)
    with store.record() as tx:
        evidence.keep(tx, incident.number, 1, piece)
    with store.read() as tx:
        summary = incident_summary.summary(tx, incident)
        return {
            "page": page.page(summary, person=BEN, link="", lasts=timedelta(hours=1)).text,
            "report": report.markdown(story(tx, incident.number)),
            "the run's page": incident_page.page(tx, incident, oncall=None),
        }


def test_whatever_shows_a_part_of_it_shows_the_end_that_says_most(store: Store) -> None:
    for where, text in _shown(store, from_beginning=True).items():
        assert "line 0 " in text, where
        assert "line 1999 " not in text, where
        assert re.search(r"… \d+ (lines|characters) after this are in `paramedic incident show --evidence`", text), (
            where
        )


def test_of_all_else_it_shows_the_newest_end(store: Store) -> None:
    for where, text in _shown(store, from_beginning=False).items():
        assert "line 1999 " in text, where
        assert "line 0 " not in text, where
        assert re.search(r"… \d+ (lines|characters) before this are in `paramedic incident show --evidence`", text), (
            where
        )


def test_what_is_cut_is_counted_by_what_bounds_it_more() -> None:
    body = "\n".join(f"{number}" for number in range(10))
    assert bounded(body, lines=3) == "… 7 lines before this left out\n7\n8\n9"
    assert bounded(body, lines=3, from_beginning=True) == "0\n1\n2\n… 7 lines after this left out"
    assert bounded(body, lines=3, characters=4, from_beginning=True) == "0\n1\n\n… 15 characters after this left out"
    assert bounded(body, lines=10, characters=len(body)) == body
