"""`paramedic runbook record`: how often a runbook that observed would have been right, for people and programs."""

import json
from pathlib import Path

import pytest
from store_states import ALIVE, TARGET, intended, proposed, working

from paramedic.cli import main
from paramedic.remediation.cure import Held
from paramedic.remediation.proposal import Verdict
from paramedic.settings import Settings
from paramedic.store import Store, acts, cure_looks, proposals
from paramedic.store.migrations import migrate

NAME = "tracking-api-memory"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    url = Settings(data=folder).store()
    migrate(url)
    store = Store(url)
    for number, verdict in enumerate((Verdict.NEEDED, Verdict.RECOVERED, None)):
        claim = working(store, target=f"web-{number}/tracking-api")
        with store.record() as tx:
            made = proposed(tx, claim, why="answered \x1b[31m503")
            if verdict is not None:
                proposals.judge(tx, made, verdict, "as the test says", actor=claim.holder)
    store.close()
    return folder


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["runbook", "record", *argv])
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out + out.err


def test_people_read_how_many_would_have_been_right_and_each_of_them(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = run(capsys, NAME, "--data", str(data))
    assert code == 0
    first, right, needless, *_, newest, middle, oldest = words.strip().split("\n")
    assert first.startswith(f"{NAME}: 3 proposals on 3 targets, from ")
    assert "1 would have been right: 1 still failing" in right
    assert "1 would not have been needed" in needless
    assert newest.endswith("INC-3 would have restarted web-2/tracking-api; not judged yet")
    assert "INC-2" in middle
    assert "well by itself" in middle
    assert "INC-1" in oldest
    assert "\x1b" not in words


def test_a_program_reads_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = run(capsys, NAME, "--json", "--limit", "2", "--data", str(data))
    answer = json.loads(words)
    assert (code, answer["proposals"], answer["right"], answer["not_needed"], answer["pending"]) == (0, 3, 1, 1, 1)
    assert [(row["incident"], row["verdict"]) for row in answer["newest"]] == [("INC-3", None), ("INC-2", "recovered")]


def _cured(data: Path) -> None:
    """Its restart of web-9 helped, and held for an hour; what came of it after a day is not known yet."""
    store = Store(Settings(data=data).store())
    claim = working(store, target="web-9/tracking-api")
    with store.record() as tx:
        act = intended(tx, claim)
        acts.close(tx, act, result="cured", why="verified well after it", actor=claim.holder)
        cure_looks.plan(tx, act, ALIVE)
        cure_looks.judge(tx, cure_looks.of(tx, act.incident)[0], Held.HELD, "every condition holds", actor="a")
    store.close()


def test_what_it_did_is_counted_with_what_became_of_the_cures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _cured(data)
    code, words = run(capsys, NAME, "--data", str(data))
    assert (code, "acted once, and 1 of them helped:" in words) == (0, True)
    line = "restart of web-9/tracking-api, once: 1 helped; 1h later 1 held; 24h later 1 not looked at yet"
    assert line in " ".join(words.split())
    _, answer = run(capsys, NAME, "--json", "--data", str(data))
    [remedy] = json.loads(answer)["remedies"]
    assert (remedy["remedy"], remedy["target"], remedy["cured"]) == ("restart", "web-9/tracking-api", 1)
    assert [(look["after_seconds"], look["held"], look["pending"]) for look in remedy["looks"]] == [
        (3600.0, 1, 0),
        (86400.0, 0, 1),
    ]


def test_a_runbook_without_a_proposal_says_so_and_an_unknown_one_what_there_is(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = run(capsys, "another", "--data", str(data))
    assert (code, f"these had: {NAME}" in words) == (1, True)
    assert TARGET not in words
