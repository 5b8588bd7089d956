"""The demo's further stories: chosen by name, and what is missing for one is said in words, which fails nothing."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from paramedic.catalog.library import read_folder
from paramedic.cli.demo import app
from paramedic.demo import containers, folder, more, over_ssh, run
from paramedic.demo.more import STORIES, possible, wanted


def test_stories_are_chosen_by_name_each_once() -> None:
    assert wanted("ssh, containers,ssh,") == ["ssh", "containers"]
    assert wanted("") == []
    with pytest.raises(ValueError, match="no story 'moon'; there are: ssh, containers"):
        wanted("ssh,moon")


def test_a_story_that_nobody_knows_is_wrong_use() -> None:
    answer = CliRunner().invoke(app, ["--with", "moon"])
    assert answer.exit_code == 2
    assert "there are: ssh, containers" in answer.output


def test_what_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "no sshd (Debian: apt install openssh-server)" in str(over_ssh.missing())
    assert "no podman, runc, busybox (Debian: apt install podman runc busybox-static)" in str(containers.missing())
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert containers.missing() == "the demo's podman needs root"
    assert possible(STORIES)[0] == []


def test_one_that_is_missing_or_cannot_be_started_is_said_and_the_rest_is_played(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended: list[str] = []

    @contextmanager
    def plays(_folder: Path) -> Iterator[Any]:
        yield SimpleNamespace(hosts="", services="", runbooks={})
        ended.append("plays")

    @contextmanager
    def breaks(_folder: Path) -> Iterator[Any]:
        raise OSError("its disk is full")
        yield

    found = {"a": (lambda: None, plays), "b": (lambda: "there is no b", plays), "c": (lambda: None, breaks)}
    monkeypatch.setattr(more, "STORIES", found)
    monkeypatch.setattr(run, "STORIES", found)
    shown = io.StringIO()
    with ExitStack() as held:
        others = run._others(Console(file=shown, width=100), held, tmp_path, list(found))
    assert (list(others), ended) == (["a"], ["plays"])
    assert "no story on b: there is no b" in shown.getvalue()
    assert "no story on c: it could not be started: its disk is full" in shown.getvalue()


def test_the_runbooks_of_the_further_stories_are_ones_that_lint_takes(tmp_path: Path) -> None:
    target = "supervisord: menu-api, host: web-5"
    books = {
        "menu-api-hang.md": folder.runbook_of_hang("menu-api", target),
        "kitchen-down.md": folder.runbook_of_container("kitchen"),
    }
    services = """\
services:
  menu-api:
    targets:
      - {host: web-5, supervisord: {program: menu-api, address: "unix:///s"}, health: "http://127.0.0.1:1/", log: /l}
  kitchen:
    targets:
      - {host: localhost, container: kitchen, health: "http://127.0.0.1:2/"}
"""
    folder.write(tmp_path / "data" / "runbooks", services, books)
    wrong = [str(problem) for problem in read_folder(tmp_path / "data" / "runbooks").problems]
    assert [words for words in wrong if "tracking-api" not in words] == []
