"""The kill table, seen red: Paramedic is broken in one place, in a copy, and the rows that the break concerns are played.

`make break-kill-table` plays them all in three quarters of an hour, as the kill table does: rows of one victim die together, on
a broken Paramedic that serves the next ones too where the break leaves it whole. `ARGS="--break NAME"` and `ARGS="--row ID"`
choose. A row that stays green shows that its test cannot fail: exit code 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import bytecode_kept  # noqa: F401 - for all that is started
from kill.deaths import by_death
from kill.driver import driving
from kill.play import play
from kill.table import POINTS, TABLE, Row

ROOT = Path(__file__).parents[2]

#: What a sound death's rows take is half of this at most.
_PATIENCE_SECONDS = 75.0

#: How soon a sound Paramedic is whole again after a death, with as much to spare.
_WHOLE_WITHIN_SECONDS = 60.0

#: So many broken Paramedics at a time: they wait for most of their time.
_AT_ONCE = 3


@dataclass(frozen=True)
class Break:
    """One fault: in each file, what stands there and what stands there instead; and the rows that must see it.

    `spoils`: processes that were killed under it are not replaced, so each kill needs a Paramedic of its own.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]
    rows: tuple[str, ...]
    spoils: bool = False


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
        spoils=True,
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
        spoils=True,
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


@dataclass
class Judgement:
    """What each row of one play came to."""

    fault: Break
    verdicts: dict[str, tuple[str, str]]
    """By row: red, GREEN or FAILED, and in which words."""


def main() -> int:
    """Every chosen break on every row of its own; 0 if all turned red."""
    parser = argparse.ArgumentParser(description="Break Paramedic and see each row of the kill table turn red.")
    parser.add_argument("--break", dest="only", choices=[fault.name for fault in BREAKS], help="this break alone")
    parser.add_argument("--row", choices=[row.id for row in TABLE], help="this row alone")
    parser.add_argument("--play", nargs="+", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.play:
        return _play(settings.play)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pb-") as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        plays = []
        for fault in sorted(BREAKS, key=lambda fault: fault.spoils):  # the long plays first
            rows = [row for row in TABLE if row.id in fault.rows and settings.row in (None, row.id)]
            if settings.only not in (None, fault.name) or not rows:
                continue
            tree = _broken(fault, Path(folder) / fault.name)
            plays += [pool.submit(_played, tree, fault, play) for play in _plays(fault, rows)]
        for play in as_completed(plays):
            judgement = play.result()
            for row, (came, why) in judgement.verdicts.items():
                print(f"{judgement.fault.name:46} {row:30} {came:6}  {why}", flush=True)
                if came != "red":
                    wrong.append(
                        f"{'stayed green' if came == 'GREEN' else 'could not be played'}: {row} under {judgement.fault.name}"
                    )
    print("\n".join(wrong))
    return 1 if wrong else 0


def _plays(fault: Break, rows: Sequence[Row]) -> list[list[str]]:
    """The rows of each play: one Paramedic serves one death, or all."""
    if not fault.spoils:
        return [[row.id for row in rows]]
    return [[row.id for row in group] for group in by_death(rows)]


def _broken(fault: Break, tree: Path) -> Path:
    left_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, tree, ignore=left_out)
    for name, before, after in fault.edits:
        file = tree / name
        text = file.read_text()
        if text.count(before) != 1:
            raise SystemExit(f"{fault.name}: {before!r} does not stand once in {name}; tell tests/kill/breaks.py")
        file.write_text(text.replace(before, after))
    return tree


def _played(tree: Path, fault: Break, rows: Sequence[str]) -> Judgement:
    env = dict(os.environ) | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tests'}"}
    argv = [sys.executable, "-m", "kill.breaks", "--play", *rows]
    done = subprocess.run(argv, cwd=tree, env=env, capture_output=True, text=True, check=False)
    verdicts = {}
    for line in done.stdout.splitlines():
        if line.startswith(_JUDGED):
            row, why = json.loads(line.removeprefix(_JUDGED))
            verdicts[row] = ("red", why) if why else ("GREEN", "")
    last = done.stderr.strip().rpartition("\n")[2]
    return Judgement(fault, {row: verdicts.get(row, ("FAILED", last)) for row in rows})


#: What a line begins with that says what a row came to.
_JUDGED = "judged: "


def _play(ids: Sequence[str]) -> int:
    rows = [row for row in TABLE if row.id in ids]
    services = [(row.id, "web-1", "") for row in rows]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, driving(Path(folder), services) as up:
        for group in by_death(rows):
            up.is_whole_again()  # what an earlier death has left wrong would be no news about these
            wrong = play(up, group, seconds=_PATIENCE_SECONDS, whole_within=_WHOLE_WITHIN_SECONDS)
            for row, error in wrong.items():
                print(f"{_JUDGED}{json.dumps([row, str(error).partition(chr(10))[0] if error else ''])}", flush=True)
    return 0


if __name__ == "__main__":
    assert {row for fault in BREAKS for row in fault.rows} == {row.id for row in TABLE}
    sys.exit(main())
