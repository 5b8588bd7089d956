"""The kill table, seen red: Paramedic is broken in one place, in a copy, and the rows that the break concerns are played.

`make break-kill-table` plays them all, each on a Paramedic of its own, in an hour and a half or so;
`ARGS="--break NAME"` and `ARGS="--row ID"` choose. A row that stays green shows that its test cannot fail: exit code 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kill.driver import play, verify, ward
from kill.table import POINTS, TABLE, VICTIMS

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
    victims: tuple[str, ...]
    points: tuple[str, ...]

    @property
    def rows(self) -> list[str]:
        return [f"{victim}-at-{point}" for point in self.points for victim in self.victims]


_NOBODY_LOOKS = (
    "paramedic/watchdog/attempts.py",
    "            suspects = [found for one in incidents.open_attempts(tx) if (found := suspect(tx, one))]",
    "            suspects: list[Suspect] = []",
)

BREAKS = (
    Break(
        "the-dead-stay-dead",
        (("paramedic/up.py", "if now >= child.start_again_at:", "if now >= child.start_again_at + 3600:"),),
        ("gateway", "responder", "prefect"),
        POINTS,
    ),
    Break(
        "a-dead-process-gets-the-run-and-nobody-looks",
        (
            (
                "paramedic/responder/worker.py",
                "            if process.returncode is None:\n                return process",
                "            return process",
            ),
            (
                "paramedic/responder/worker.py",
                "        await self._refill()\n        return await super().get",
                "        return await super().get",
            ),
            _NOBODY_LOOKS,
        ),
        ("process",),
        POINTS[:4],
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
        ("process",),
        POINTS[4:],
    ),
    Break("a-lapsed-claim-is-nobodys-business", (_NOBODY_LOOKS,), ("process", "responder"), POINTS[4:10]),
    Break(
        "an-earlier-act-is-forgotten",
        (("tasks/guard.py", "if not at_hand().looked_back:", "if False:"),),
        ("process", "responder"),
        POINTS[6:10],
    ),
)


def main() -> int:
    """Every chosen break on every row of its own; 0 if all turned red."""
    parser = argparse.ArgumentParser(description="Break Paramedic and see each row of the kill table turn red.")
    parser.add_argument("--break", dest="only", choices=[one.name for one in BREAKS], help="this break alone")
    parser.add_argument("--row", choices=[row.id for row in TABLE], help="this row alone")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.play:
        return _play(chosen.play)
    green, failed = [], []
    for one in BREAKS:
        rows = [row for row in one.rows if chosen.row in (None, row)]
        if chosen.only not in (None, one.name) or not rows:
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
    assert {row for one in BREAKS for row in one.rows} == {
        f"{victim}-at-{point}" for victim in VICTIMS for point in POINTS
    }
    sys.exit(main())
