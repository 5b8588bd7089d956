"""Every kind of evidence that a runbook may ask for is offered by some kind of target, and says why where it cannot be had."""

from pathlib import Path

import pytest

from paramedic.catalog import target_kinds
from paramedic.catalog.front_matter import _With
from paramedic.doors import reading
from paramedic.incidents.evidence import LIMIT, bounded
from paramedic.integrations.targets import supervisord
from paramedic.kinds.faces import FromBeginning
from paramedic.remediation.target import Target
from tasks import diagnose


def test_what_a_runbook_may_ask_for_is_what_target_kinds_offer() -> None:
    allowed = _With.model_json_schema()["properties"]["evidence"]["items"]["enum"]
    assert set(allowed) == set(target_kinds.evidence()) == {"process-tree", "memory", "log-tail", "journal"}
    assert target_kinds.evidence("supervisord") == ("process-tree", "memory", "log-tail")


def test_a_journal_that_cannot_be_had_says_why() -> None:
    unit = Target("no-such-host/app.service", "tracking", "no-such-host", "systemd", "app.service", "")
    seen = diagnose._look("journal", unit)
    assert seen.kind == "journal"
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
    assert diagnose._look("log-tail", target).body.endswith("the newest line\n")
    assert diagnose._look("journal", target).body.endswith("\n9999 process")
    assert diagnose._look("process-tree", target).body.startswith("0 process\n")


def test_a_process_tree_keeps_its_root() -> None:
    for kind in ("supervisord", "systemd"):
        target = Target("web-1/shop", "shop", "web-1", kind, "shop", "")
        assert {name for name in target_kinds.evidence(kind) if reading.begins_with_most(target, name)} == {
            "process-tree"
        }
