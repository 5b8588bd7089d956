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
from paramedic.demo import containers, folder, in_kubernetes, over_ssh, run
from paramedic.demo.more import STORIES, Story, possible, wanted


def test_stories_are_chosen_by_name_each_once() -> None:
    assert list(wanted("ssh, containers,ssh,")) == ["ssh", "containers"]
    assert wanted("") == {}
    with pytest.raises(ValueError, match="no story 'moon'; there are: ssh, containers, kubernetes"):
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
    monkeypatch.setattr(in_kubernetes, "program", lambda name: None if "kube" in name else f"/usr/bin/{name}")
    assert "no kube-apiserver, kube-controller-manager (`.ci/kubernetes` builds" in str(in_kubernetes.missing())
    assert "name a cluster for it: --context kind-kind" in str(in_kubernetes.missing())
    assert possible(STORIES)[0] == {}


def test_one_that_is_missing_or_cannot_be_started_is_said_and_the_rest_is_played(
    tmp_path: Path,
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

    found: dict[str, Story] = {
        "a": (lambda: None, plays),
        "b": (lambda: "there is no b", plays),
        "c": (lambda: None, breaks),
    }
    shown = io.StringIO()
    with ExitStack() as held:
        others = run._others(Console(file=shown, width=100), held, tmp_path, found)
    assert (list(others), ended) == (["a"], ["plays"])
    assert "no story on b: there is no b" in shown.getvalue()
    assert "no story on c: it could not be started: its disk is full" in shown.getvalue()


def test_the_runbooks_of_the_further_stories_are_ones_that_lint_takes(tmp_path: Path) -> None:
    target = "supervisord: menu-api, host: web-5"
    books = {
        "menu-api-hang.md": folder.runbook_of_hang("menu-api", target),
        "kitchen-down.md": folder.runbook_of_container("kitchen"),
        "orders-rollout.md": folder.runbook_of_workload("orders", "deployment: paramedic-demo-1/orders, host: cluster"),
    }
    services = """\
hosts:
  web-5: {local: true}
  localhost: {local: true}
  cluster: {kubernetes: {kubeconfig: '/k', context: 'it''s'}}
services:
  menu-api:
    targets:
      - {host: web-5, supervisord: {program: menu-api, address: "unix:///s"}, health: "http://127.0.0.1:1/", log: /l}
  kitchen:
    targets:
      - {host: localhost, container: kitchen, health: "http://127.0.0.1:2/"}
  orders:
    targets:
      - {host: cluster, deployment: {name: orders, namespace: paramedic-demo-1}}
"""
    folder.write(tmp_path / "data" / "runbooks", services, books)
    wrong = [str(problem) for problem in read_folder(tmp_path / "data" / "runbooks").problems]
    assert [words for words in wrong if "tracking-api" not in words] == []


def test_a_context_is_of_the_story_on_kubernetes_alone() -> None:
    with pytest.raises(ValueError, match="a context is for the story kubernetes"):
        wanted("ssh", "kind-kind")
    answer = CliRunner().invoke(app, ["--with", "ssh", "--context", "kind-kind"])
    assert answer.exit_code == 2
    assert list(wanted("ssh,kubernetes", "kind-kind")) == ["ssh", "kubernetes"]
