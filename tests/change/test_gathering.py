"""Evidence is gathered side by side: a kind that hangs, fails or is late spoils no other, and what was not seen is said."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paramedic.change import gathering
from paramedic.change.gathering import NOT_SEEN, gather, pieces
from paramedic.kinds import plugin_folder
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.text import redaction

#: Where three kinds wait for each other.
MEETING = threading.Barrier(3)

SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC)

KIND = """
import threading
from paramedic.errors import PermanentError
from paramedic.kinds.evidence import Gathered, Of
ABOUT = "something"
OF = Of.HOST

def gather(scene):
    {body}
"""

BODIES = {
    "seen": 'return Gathered(f"since {scene.since:%H:%M}", ("a part: not permitted; needs root",))',
    "hangs": "threading.Event().wait()",
    "fails": 'raise PermanentError("no such\\nthing; needs a tool")',
    "wrong": "return 1 // 0",
    "partial": 'printed = scene.shell("echo first; sleep 30; echo second"); return Gathered(printed.part(""))',
    "secret": 'return Gathered("password=hunter2-of-the-test", ("token=hunter3-of-the-test: needs root",))',
    "long": 'return Gathered("first\\n" + "x" * 100_000, ("y" * 5000,))',
    "hostile": 'return Gathered(scene.shell("part a; printf %s \\"$1\\"", "$(touch x); `id`\\n\\n-n").part("a"))',
}


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins" / "evidence"
    folder.mkdir(parents=True, mode=0o755)
    for name, body in BODIES.items():
        (folder / f"{name}.py").write_text(KIND.format(body=body))
    plugin_folder.use(folder.parent)
    yield folder
    plugin_folder.use(None)
    redaction.forget_all()


def here(kind: str = "supervisord") -> Target:
    return Target("web-1/shop", "shop", "web-1", kind, "shop", "unix:///none", machine=Host("web-1"))


def looked(*kinds: str, seconds: float = 5.0) -> dict[str, gathering.Look]:
    looks = gather(here(), kinds, since=SINCE, patience=timedelta(seconds=seconds))
    assert [look.kind for look in looks] == list(dict.fromkeys(kinds))
    return {look.kind: look for look in looks}


def test_one_that_hangs_fails_or_is_wrong_spoils_no_other() -> None:
    began = boottime()
    seen = looked("hangs", "wrong", "fails", "seen", seconds=3)
    assert boottime() - began < 10
    assert seen["seen"].piece is not None
    assert seen["seen"].piece.body == "since 12:00"
    assert {kind: look.fault for kind, look in seen.items() if look.piece is None} == {
        "hangs": "no answer within 3s",
        "wrong": "ZeroDivisionError: integer division or modulo by zero",
        "fails": "no such thing; needs a tool",
    }


def test_they_are_gathered_side_by_side(plugins: Path) -> None:
    for name in ("one", "two", "three"):
        meets = "import test_gathering; test_gathering.MEETING.wait(20); return Gathered('all were there')"
        (plugins / f"{name}.py").write_text(KIND.format(body=meets))
    seen = looked("one", "two", "three", seconds=30)
    assert [look.piece and look.piece.body for look in seen.values()] == ["all were there"] * 3


def test_what_was_printed_before_the_time_was_over_is_kept() -> None:
    began = time.monotonic()
    look = looked("partial", seconds=2)["partial"]
    assert look.piece is not None
    assert look.piece.body == "first"
    assert time.monotonic() - began < 5


def test_what_could_not_be_seen_is_a_piece_of_its_own_at_the_end() -> None:
    looks = gather(here(), ("fails", "seen", "journal"), since=SINCE, patience=timedelta(seconds=5))
    kept = pieces(looks)
    assert [piece.kind for piece in kept] == ["fails", "seen", "journal", NOT_SEEN]
    assert kept[0].body == "could not be taken: no such thing; needs a tool"
    assert kept[-1].body.splitlines() == [
        "fails: no such thing; needs a tool",
        "seen: a part: not permitted; needs root",
        "journal: web-1/shop is a supervisord target, and offers no journal: name its `log` in services.yaml",
    ]


def test_nothing_is_said_where_all_was_seen() -> None:
    assert [piece.kind for piece in pieces(list(looked("secret").values()))] == ["secret", NOT_SEEN]
    assert pieces([]) == []
    assert [piece.kind for piece in pieces(list(looked("hostile").values()))] == ["hostile"]


def test_it_is_redacted_and_bounded() -> None:
    seen = looked("secret", "long")
    whole = str([(look.piece, look.unseen) for look in seen.values()])
    assert "hunter2" not in whole
    assert "hunter3" not in whole
    long = seen["long"].piece
    assert long is not None
    assert long.body.startswith("first\nxxx"), "what says most is at its beginning"
    assert len(long.body) < 34_000
    assert len(seen["long"].unseen[0]) == 400


def test_words_of_a_script_are_data(tmp_path: Path) -> None:
    look = looked("hostile")["hostile"]
    assert look.piece is not None
    assert look.piece.body == "$(touch x); `id`\n\n-n"
    assert not Path("/x").exists()


def test_the_host_s_evidence_is_not_taken_on_a_machine_that_may_be_another() -> None:
    unlisted = Target("no-such-host/shop", "shop", "no-such-host", "supervisord", "shop", "unix:///none")
    [look] = gather(unlisted, ("seen",), since=SINCE, patience=timedelta(seconds=5))
    assert look.fault.startswith("no-such-host is not known to be this machine, ")
    assert look.fault.endswith("list it under `hosts` in services.yaml")
