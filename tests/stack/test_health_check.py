"""The health check of a container: well while `up` runs and each of its processes says so."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from local_api import Answer, LocalApi

from paramedic.settings import Settings
from paramedic.stack import health_check, instance
from paramedic.stack.instance import Running


class Process(LocalApi):
    """One process that serves /healthz."""

    says = 200

    def answer(self, command: str, path: str, body: object) -> Answer | None:
        return (self.says, {}) if (command, path) == ("GET", "/healthz") else (404, {})


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[IO[str]]:
    held = instance.lock(tmp_path)
    yield held
    held.close()


def _announced(up: IO[str], *ports: int) -> None:
    health = tuple(f"http://127.0.0.1:{port}/healthz" for port in ports)
    instance.announce(up, Running(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2", health))


def test_it_is_well_while_each_process_says_so(tmp_path: Path, up: IO[str], process: Process) -> None:
    _announced(up, process.port)
    assert health_check.complaint(Settings(data=tmp_path)) is None
    process.says = 503
    assert f":{process.port}/healthz: HTTP 503" in str(health_check.complaint(Settings(data=tmp_path)))


def test_one_that_does_not_answer_is_named(tmp_path: Path, up: IO[str], process: Process) -> None:
    gone = process.port
    process.close()
    _announced(up, gone)
    assert f":{gone}/healthz does not answer" in str(health_check.complaint(Settings(data=tmp_path)))


def test_a_folder_in_which_no_up_works_is_not_well(tmp_path: Path) -> None:
    assert "no `paramedic up` works" in str(health_check.complaint(Settings(data=tmp_path)))


def test_each_role_is_asked_where_it_listens(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, metrics_port=8651)
    found = health_check.addresses(settings, "http://127.0.0.1:8650", ["gateway", "dispatch"])
    assert found == ("http://127.0.0.1:8650/healthz", "http://127.0.0.1:8653/healthz")
    assert health_check.addresses(Settings(data=tmp_path), "http://127.0.0.1:8650", ["watchdog"]) == ()
