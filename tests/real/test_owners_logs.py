"""Logs that a real supervisord and a real Engine keep, by the evidence `log-patterns`, and what is said to be missing."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from podman_engine import Podman, serving
from supervised import Supervised, supervising
from waiting import until

from paramedic.change.gathering import Look, gather
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.integrations.targets import container, supervisord
from paramedic.kinds.evidence import Gathered
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.costly]

PATIENCE = timedelta(seconds=60)


@pytest.fixture(scope="module")
def supervised(require: Callable[[str], str]) -> Iterator[Supervised]:
    with supervising(require("supervisord"), apps=1) as running:
        yield running


@pytest.fixture(scope="module")
def podman(require: Callable[[str], str]) -> Iterator[Podman]:
    with serving(require) as engine:
        yield engine


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local())


@pytest.fixture
def files(supervised: Supervised) -> dict[str, Path]:
    """The files that supervisord writes what the program prints into, empty."""
    info = supervisord.Reader(supervised.target(), Local())._ask("supervisor.getProcessInfo", supervised.app)
    found = {channel: Path(info[f"{channel}_logfile"]) for channel in ("stdout", "stderr")}
    for file in found.values():
        file.write_bytes(b"")
    return found


def looked(target: Target) -> Look:
    [look] = gather(target, ("log-patterns",), since=utc_now(), patience=PATIENCE)
    return look


def body(look: Look) -> str:
    assert look.piece is not None, look.fault
    return look.piece.body


def of_program(supervised: Supervised, lines: int = 5000) -> Gathered:
    return supervisord.log_lines(supervised.target(), Local(), lines, 0.0, boottime() + 60)


def test_what_a_program_printed_is_told_though_no_xml_may_have_it(
    supervised: Supervised, files: dict[str, Path]
) -> None:
    files["stdout"].write_bytes(
        b"request 1 done\r\nrequest 2 done\n\x1b[31mred\x1b[0m pool exhausted \x01\n<b>&amp;</b>\n"
    )
    files["stderr"].write_text("Traceback of the test\n")
    look = looked(supervised.target())
    assert "owner's log: 5 lines of 4 patterns" in body(look)
    for line in ("2  request 2 done", "red pool exhausted \\x01", "<b>&amp;</b>", "Traceback of the test"):
        assert line in body(look)
    assert look.unseen == ()


def test_of_a_long_log_the_end_is_read_whatever_character_its_cut_is_in(
    supervised: Supervised, files: dict[str, Path]
) -> None:
    for more in ("", "x", "xx"):
        files["stdout"].write_text("first\n" + more + "é€\n" * 100_000 + "last\n")
        seen = of_program(supervised)
        assert seen.text.splitlines()[0] == "é€"
        assert seen.text.splitlines()[-1] == "last"
        assert len(seen.text.splitlines()) == 5000
        [why] = seen.unseen
        assert re.fullmatch(r"its stdout: only the last 5,000 lines were read, 262,14[1-4] bytes", why)


def test_bytes_that_supervisord_cannot_send_leave_what_came_after_them(
    supervised: Supervised, files: dict[str, Path]
) -> None:
    files["stdout"].write_bytes(b"caf\xe9\n" + b"of utf-8\n" * 10_000)
    seen = of_program(supervised)
    assert set(seen.text.splitlines()) == {"of utf-8"}
    assert "only the last 3," in "; ".join(seen.unseen)
    files["stdout"].write_bytes(b"of utf-8\n" * 10 + b"caf\xe9\n")
    files["stderr"].write_text("of stderr\n")
    seen = of_program(supervised)
    assert seen.text == "of stderr"
    [why] = seen.unseen
    assert why.startswith("its stdout: ")
    assert "name the file as `log`" in why


def test_a_program_whose_output_goes_nowhere_says_so(supervised: Supervised, files: dict[str, Path]) -> None:
    files["stderr"].unlink()
    files["stdout"].write_text("alone\n")
    seen = of_program(supervised)
    assert (seen.text, list(seen.unseen)) == ("alone", []), "stderr may go into stdout's file"
    files["stdout"].unlink()
    with pytest.raises(PermanentError, match="NO_FILE"):
        of_program(supervised)
    assert "NO_FILE" in looked(supervised.target()).fault


def of_container(target: Target, lines: int = 5000, since: float = 0.0) -> Gathered:
    return container.log_lines(target, Local(), lines, since, boottime() + 60)


def test_lines_of_a_container_carry_their_time_and_stderr_its_mark(podman: Podman) -> None:
    target = podman.start("prints", "echo request 1 done; echo request 2 done; echo trouble >&2; exec sleep 300")
    seen = until(
        "it has printed", lambda: found if len((found := of_container(target)).text.splitlines()) == 3 else None
    )
    assert sorted(line.partition(" ")[2] for line in seen.text.splitlines()) == [
        "request 1 done",
        "request 2 done",
        "stderr: trouble",
    ]
    for line in seen.text.splitlines():
        assert abs(datetime.fromisoformat(line.partition(" ")[0]).timestamp() - time.time()) < 600
    look = looked(target)
    assert "owner's log: 3 lines of 2 patterns, 2 of them new (new: not before 20" in body(look)
    assert look.unseen == ()


def test_only_lines_since_then_and_only_so_many(podman: Podman) -> None:
    count = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done; exec sleep 300"
    target = podman.start("counts", count)
    until("it has counted", lambda: "line 300" in of_container(target).text)
    last = of_container(target, 20)
    assert [line.partition(" ")[2] for line in last.text.splitlines()] == [f"line {n}" for n in range(281, 301)]
    [why] = last.unseen
    assert why.startswith("only the last 20 lines were read, back to 20")
    assert of_container(target, since=time.time() + 3600).text == ""


def test_the_log_of_a_terminal_has_its_times_too(podman: Podman) -> None:
    target = podman.start("console", "echo begun; exec sleep 300", "--tty")
    seen = until("it has printed", lambda: found if (found := of_container(target)).text else None)
    assert re.fullmatch(r"20\d\d-\S+ begun", seen.text.strip())


def test_a_container_whose_log_nobody_keeps_says_so(podman: Podman) -> None:
    target = podman.start("silent", "echo begun; exec sleep 300", "--log-driver=none")
    fault = looked(target).fault
    assert fault.startswith("its owner's log: "), fault
