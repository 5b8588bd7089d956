"""How much of a machine is used, and of a process of it: this one and one by SSH say the same, by one code path."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_service import target

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import host_use, log_source
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Identity
from paramedic.sampling import one_sample

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _by(there: Transport, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for door in (one_sample, reading):
        monkeypatch.setattr(door, "transport", lambda *_, **__: there)
    log_source.forget()
    yield
    log_source.forget()


def look(check: str, **words: Any) -> Sample:
    made = check_spec(CheckSpec)(check=check, timeout="14s", **words).build()
    return one_sample.sample(made, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)


def test_each_value_is_the_one_that_the_machine_has(tmp_path: Path) -> None:
    seen = look("host", path=str(tmp_path))
    assert seen.values is not None, seen.why
    memory, disk, files = psutil.virtual_memory(), psutil.disk_usage(str(tmp_path)), os.statvfs(tmp_path)
    assert seen.values["memory_percent"] == pytest.approx(memory.percent, abs=3)
    assert seen.values["memory"] == pytest.approx(memory.total - memory.available, rel=0.2)
    assert seen.values["disk"] == pytest.approx(disk.percent, abs=2)
    inodes = files.f_files - files.f_ffree
    assert seen.values["inodes"] == pytest.approx(100 * inodes / max(inodes + files.f_favail, 1), abs=2)
    assert seen.values["load"] == pytest.approx(100 * psutil.getloadavg()[0] / (psutil.cpu_count() or 1), abs=120)
    assert 0 <= seen.values["open_files"] < 90
    assert 0 <= seen.values["cpu"] <= 100


def test_the_processors_are_busy_while_somebody_counts_and_the_next_look_counts_from_this_one() -> None:
    first = look("host")
    assert first.values is not None, first.why
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        busy[0].poll()
        with pytest.raises(subprocess.TimeoutExpired):
            busy[0].wait(1.0)
        began = boottime()
        second = look("host")
        assert boottime() - began < 5
    finally:
        for one in busy:
            one.kill()
            one.wait()
    assert second.values is not None
    assert second.values["cpu"] > 60


def test_a_path_that_is_not_there_is_not_seen(tmp_path: Path) -> None:
    seen = look("host", path=str(tmp_path / "$(touch x) nowhere"))
    assert seen.values is None
    assert "cannot be read" in seen.why


def test_the_targets_process_is_measured_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "x = bytearray(50_000_000)\nwhile True: pass"])
    try:
        process = psutil.Process(busy.pid)
        identity = process_identity(busy.pid, process.create_time(), "RUNNING")

        class Reader:
            def identity(self) -> Identity:
                return identity

        monkeypatch.setattr(reading, "reader", lambda _: Reader())
        seen = look("process")
        assert seen.values is not None, seen.why
        assert seen.values["cpu"] > 5
        assert seen.values["memory"] > 1_000_000
    finally:
        busy.kill()
        busy.wait()


class Says:
    """A transport whose machine says this."""

    def __init__(self, output: str) -> None:
        self.output = output

    def run(self, *_: Any, **__: Any) -> Any:
        from paramedic.kinds.transport import Ended

        return Ended(0, self.output, "")


WHOLE = """\
cpu 100 0 100 700 100 0 0 0 0 0
cpu 150 0 150 750 150 0 0 0 0 0
MemTotal 1000
MemAvailable 100
load 3.00 2.00 1.00 1/100 5
cores 2
files 900 0 1000
boot a
space /dev/sda1 1000 700 100 88% /a b
inodes /dev/sda1 - - - - /a b
"""


def of(output: str, before: host_use.Ticks | None = None) -> dict[str, float]:
    found = host_use.look(Says(output), "/", 0, before=before, seconds=0.5)  # type: ignore[arg-type]
    return {name: value for name, value in dataclasses.asdict(found).items() if name != "ticks"}


def test_what_the_kernel_says_is_read_as_it_means_it() -> None:
    assert of(WHOLE) == {
        "cpu": 50,
        "memory": 900 * 1024,
        "memory_percent": 90,
        "disk": 87.5,
        "inodes": 0,
        "load": 150,
        "opened": 90,
    }
    assert of(WHOLE, host_use.Ticks("a", 0, 0))["cpu"] == 25
    assert of(WHOLE, host_use.Ticks("another boot", 10**9, 10**9))["cpu"] == 50


def test_what_is_no_linux_is_not_seen() -> None:
    for output in ("", WHOLE.replace("MemAvailable 100\n", ""), WHOLE.replace("space /dev", "space -")[:120]):
        with pytest.raises((PermanentError, TemporaryError)):
            of(output)
