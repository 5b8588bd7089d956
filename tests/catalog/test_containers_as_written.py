"""Containers as services.yaml and runbooks write them: what lint understands, and what it refuses."""

from pathlib import Path

import pytest

from paramedic.catalog.library import read_folder
from paramedic.catalog.services import parse_services
from paramedic.text.yaml_document import BadDocument

SERVICES = """\
services:
  shop:
    targets:
      - {host: web-1, container: WORDS, health: "http://127.0.0.1:80/"}
"""
RUNBOOK = """\
---
runbook: shop-down
service: shop
when: [{alert: ShopDown}]
playbook: restore-service
with:
  target: {container: web, host: "{instance}"}
  evidence: [state, last-log]
  remedies: [restart, stop_and_start]
  verify: {health: ok, stable: 2s, within: 20s}
---
## Meaning
x
## Impact
x
## Diagnosis
x
## Mitigation
x
"""
ONCALL = (Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "socket"),
    [
        ("web", "/var/run/docker.sock"),
        ("{name: web}", "/var/run/docker.sock"),
        ("{name: web, socket: /run/podman/podman.sock}", "/run/podman/podman.sock"),
        ('{name: web, api: "tcp://127.0.0.1:2375"}', "tcp://127.0.0.1:2375"),
        ('{name: web, api: "tcp://[::1]:2375"}', "tcp://[::1]:2375"),
        (
            '{name: web, api: "tcp://docker-7:2376", tls: {ca: /t/ca, certificate: /t/cert, key: /t/key}}',
            "tcp://docker-7:2376",
        ),
    ],
)
def test_a_container_is_its_name_at_its_host_and_the_socket_of_its_engine(words: str, socket: str) -> None:
    (target,) = parse_services(SERVICES.replace("WORDS", words), "services.yaml")
    assert (target.id, target.kind, target.name, target.address) == ("web-1/container:web", "container", "web", socket)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("{socket: /run/docker.sock}", "name"),
        ("{name: web, socket: tcp://127.0.0.1:2375}", "socket"),
        ("{name: web, sockets: /run/docker.sock}", "socket"),
        ('{name: web, api: "tcp://docker-7:2375"}', "whoever reaches an Engine without TLS is root there"),
        ('{name: web, api: "tcp://localhost:2375"}', "such as tcp://127.0.0.1:2375"),
        ('{name: web, api: "tcp://127.0.0.1.example.org:2375"}', "without TLS is root"),
        ('{name: web, api: "tcp://127.0.0.1:70000"}', "its port is from 1 to 65535"),
        ('{name: web, api: "http://127.0.0.1:2375"}', "api"),
        ('{name: web, socket: /s, api: "tcp://127.0.0.1:2375"}', "`socket` or `api`, not both"),
        ("{name: web, tls: {ca: /ca, certificate: /cert, key: /key}}", "`tls` is for an `api`"),
        ('{name: web, api: "tcp://docker-7:2376", tls: {ca: /ca}}', "certificate"),
        ("''", "container"),
        ("[web]", "container"),
    ],
)
def test_what_no_run_could_use_is_refused(words: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        parse_services(SERVICES.replace("WORDS", words), "services.yaml")


def test_a_container_may_be_rolled_back_without_a_folder_of_releases(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(SERVICES.replace("WORDS", "web"))
    (tmp_path / "oncall.yaml").write_text(ONCALL)
    (tmp_path / "shop-down.md").write_text(RUNBOOK.replace("[restart, stop", "[rollback, restart, stop"))
    assert read_folder(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("offered", "asked", "why"),
    [
        ("[state, last-log]", "[journal]", "journal"),
        ("[restart, stop_and_start]", "[restart, relaod]", "`stop_and_start`"),
        ("[restart, stop_and_start]", "[restart, reload]", "offer no reload; they offer: restart, stop_and_start"),
    ],
)
def test_lint_refuses_what_a_container_does_not_offer(tmp_path: Path, offered: str, asked: str, why: str) -> None:
    (tmp_path / "services.yaml").write_text(SERVICES.replace("WORDS", "web"))
    (tmp_path / "oncall.yaml").write_text(ONCALL)
    (tmp_path / "shop-down.md").write_text(RUNBOOK)
    assert read_folder(tmp_path).problems == ()
    (tmp_path / "shop-down.md").write_text(RUNBOOK.replace(offered, asked))
    (problem,) = read_folder(tmp_path).problems
    assert why in str(problem)
