"""The kill table, seen red: Paramedic is broken in one place, in a copy, and the rows that the break concerns are played.

`make break-kill-table` plays them all, each on a Paramedic of its own, in two hours or so;
`ARGS="--break NAME"` and `ARGS="--row ID"` choose. A row that stays green shows that its test cannot fail: exit code 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kill.driver import verify, ward
from kill.play import play
from kill.table import POINTS, TABLE

ROOT = Path(__file__).parents[2]

#: The code of a played row that came out wrong. Every other than this and 0 says that it could not be played.
_RED = 3

#: A sound row takes half of this at most.
_PATIENCE_SECONDS = 75.0


@dataclass(frozen=True)
class Break:
    """One fault: in each file, what stands there and what stands there instead; and the rows that must see it."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    rows: tuple[str, ...]


def _rows(victims: Sequence[str], points: Sequence[str], called: str = "") -> tuple[str, ...]:
    return tuple(f"{called}{victim}-at-{point}" for point in points for victim in victims)


_NOBODY_LOOKS = (
    "paramedic/watchdog/attempts.py",
    "            suspects = [found for attempt in attempts.open_attempts(tx) if (found := suspect(tx, attempt))]",
    "            suspects: list[Suspect] = []",
)

_AT_WORK = ("process", "responder")
_ASKED = ("approval_asked", "suspended", "approval_decided")

BREAKS = (
    Break(
        "the-dead-stay-dead",
        (("paramedic/stack/children.py", "if now >= child.start_again_at:", "if now >= child.start_again_at + 3600:"),),
        (
            *_rows(("gateway", "responder", "prefect"), POINTS),
            "ladder-prefect-at-verified",
            *_rows(("prefect",), POINTS[6:10], "rollback-"),
            *_rows(("gateway", "responder", "prefect"), _ASKED, "asked-"),
            *_rows(("watchdog", "responder"), ("message_taken", "message_left"), "first-rung-"),
            *_rows(("gateway", "prefect"), ("message_taken",), "first-rung-"),
        ),
    ),
    Break(
        "a-dead-process-gets-the-run-and-nobody-looks",
        (
            (
                "paramedic/responder/process_pool.py",
                "next((waiting for waiting in self._drain() if waiting.alive), None)",
                "next(iter(self._drain()), None)",
            ),
            (
                "paramedic/responder/process_pool.py",
                "deque(process for process in self._waiting if process.alive)",
                "deque(self._waiting)",
            ),
            _NOBODY_LOOKS,
        ),
        (*_rows(("process",), POINTS[:4]), "asked-process-at-approval_decided"),
    ),
    Break(
        "a-killed-process-is-no-crash",
        (
            (
                "paramedic/responder/worker.py",
                "ParamedicWorkerResult(status_code=code,",
                "ParamedicWorkerResult(status_code=0,",
            ),
        ),
        _rows(("process",), POINTS[4:]),
    ),
    Break(
        "a-lapsed-claim-is-nobodys-business",
        (_NOBODY_LOOKS,),
        (
            *_rows(_AT_WORK, POINTS[4:10]),
            *_rows(_AT_WORK, POINTS[6:8], "rollback-"),
            *_rows(("process",), _ASKED[:2], "asked-"),
        ),
    ),
    Break(
        "an-earlier-act-is-forgotten",
        (("paramedic/change/exclusive.py", "if not run.looked_back:", "if False:"),),
        (*_rows(_AT_WORK, POINTS[6:10]), *_rows(_AT_WORK, POINTS[8:10], "rollback-")),
    ),
    Break(
        "a-rung-that-was-tried-suits-again",
        (
            (
                "paramedic/change/ladder.py",
                "if not attempts.is_granted(tx, number, run.attempt, remedy.rung):",
                "if False:",
            ),
        ),
        _rows(_AT_WORK, ("verified",), "ladder-"),
    ),
    Break(
        "what-a-dead-teller-took-is-never-told",
        (
            (
                "paramedic/store/deliveries.py",
                'messages.c.state == "sending", messages.c.sending_until <= tx.now',
                'messages.c.state == "nowhere", messages.c.sending_until <= tx.now',
            ),
        ),
        (
            *_rows(("teller",), ("message_taken", "message_left"), "first-rung-"),
            *_rows(("teller",), ("message_taken", "message_left"), "second-rung-"),
        ),
    ),
)


def main() -> int:
    """Every chosen break on every row of its own; 0 if all turned red."""
    parser = argparse.ArgumentParser(description="Break Paramedic and see each row of the kill table turn red.")
    parser.add_argument("--break", dest="only", choices=[one.name for one in BREAKS], help="this break alone")
    parser.add_argument("--row", choices=[row.id for row in TABLE], help="this row alone")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.play:
        return _play(settings.play)
    green, failed = [], []
    for one in BREAKS:
        rows = [row for row in one.rows if settings.row in (None, row)]
        if settings.only not in (None, one.name) or not rows:
            continue
        with tempfile.TemporaryDirectory(prefix="pb-") as folder:
            broken = _broken(one, Path(folder) / "tree")
            for row in rows:
                code, said = _played(broken, row)
                print(
                    f"{one.name:46} {row:30} {'red' if code == _RED else 'GREEN' if code == 0 else 'FAILED'}  {said}",
                    flush=True,
                )
                if code != _RED:
                    (failed if code else green).append(f"{row} under {one.name}")
    for what in green:
        print(f"stayed green: {what}")
    for what in failed:
        print(f"could not be played: {what}")
    return 1 if green or failed else 0


def _broken(one: Break, tree: Path) -> Path:
    left_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, tree, ignore=left_out)
    for name, before, after in one.edits:
        file = tree / name
        text = file.read_text()
        if text.count(before) != 1:
            raise SystemExit(f"{one.name}: {before!r} does not stand once in {name}; tell tests/kill/breaks.py")
        file.write_text(text.replace(before, after))
    return tree


def _played(tree: Path, row: str) -> tuple[int, str]:
    env = dict(os.environ) | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tests'}"}
    argv = [sys.executable, "-m", "kill.breaks", "--play", row]
    done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False)
    said = done.stdout if done.returncode in (0, _RED) else done.stderr
    return done.returncode, said.strip().rpartition("\n")[2]


def _play(row_id: str) -> int:
    row = next(one for one in TABLE if one.id == row_id)
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, ward(Path(folder), [(row.id, "web-1", "")]) as up:
        try:
            play(up, row, seconds=_PATIENCE_SECONDS)
            verify(up)
        except AssertionError as wrong:
            print(str(wrong).partition("\n")[0])
            return _RED
    return 0


if __name__ == "__main__":
    assert {row for one in BREAKS for row in one.rows} == {row.id for row in TABLE}
    sys.exit(main())
