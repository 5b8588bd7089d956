"""The image of docs/production.md: what is in it, and a Paramedic of it that heals, stops and goes on."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from built_image import BASE, HARDENED, IMAGE, USER, Engine, accepted
from newcomer import changed
from ssh_servers import Sshd
from ssh_servers import running as sshd_running
from supervised import Supervised, supervising
from waiting import until

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(2400)]

#: MB that the image may add to its base, all its layers together.
ADDS = 700

#: A program of supervisord's that has ended, and would run again.
SHOP = "broken-and-mended"

#: What a user may write to in every Debian; a read-only root leaves nothing of it.
_OF_DEBIAN = {"/run/lock", "/tmp", "/var/tmp"}

#: Prints what this user may write to, on the root's file system.
WRITABLE = """
import os
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    for name in (*folders, *files):
        path = os.path.join(folder, name)
        if not os.path.islink(path) and os.access(path, os.W_OK):
            print(path)
"""

#: Prints each module whose bytecode Python would make again.
STALE = """
import importlib.util, os, sys
for folder, _, files in os.walk("/opt/paramedic"):
    for name in files:
        path = os.path.join(folder, name)
        if not name.endswith(".py") or folder.endswith("/.venv/bin"):  # what a shell is told of, and nothing imports
            continue
        try:
            compile(open(path, "rb").read(), path, "exec")
        except SyntaxError:  # a package may bring a file for another Python
            continue
        try:
            with open(importlib.util.cache_from_source(path), "rb") as kept:
                head = kept.read(16)
        except OSError as error:
            print(path, error)
            continue
        found = os.stat(path)
        if head[8:] != int(found.st_mtime).to_bytes(4, "little") + found.st_size.to_bytes(4, "little"):
            print(path, "is stale")
"""


@dataclass
class Container:
    """A running Paramedic of the image, the shop on another machine that it looks after, and the port that is published."""

    podman: Engine
    name: str
    shop: Supervised
    network: str
    books: Path

    def start(self) -> None:
        """As docs/production.md says, with the port of the gateway for a proxy on this machine."""
        more = ("-v", f"{self.name}:/data", "-v", f"{self.books}:/runbooks:ro", "-p", "127.0.0.1::8650")
        self.podman.start(IMAGE, self.name, *HARDENED, f"--network={self.network}", *more)

    def says(self, *command: str) -> str:
        """What a command in it prints."""
        return self.podman.run("exec", self.name, *command)

    @property
    def gateway(self) -> str:
        return f"http://{self.podman.run('port', self.name, '8650')}"

    def accepts(self, alert: str) -> None:
        """The alert that fires, until a 202."""
        token = self.says("cat", "/data/paramedic/gateway-token").strip()
        until("a 202", lambda: accepted(self.gateway, token, alert))

    def is_well(self) -> bool:
        """By the image's own health check."""
        self.podman.run("healthcheck", "run", self.name, well=False)
        return bool(self.podman.inspect(self.name)["State"]["Health"]["Status"] == "healthy")

    def log(self) -> str:
        return self.podman.run("logs", self.name)

    def family(self) -> list[psutil.Process]:
        pid = self.podman.inspect(self.name)["State"]["Pid"]
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def running(self, module: str) -> list[psutil.Process]:
        """Those of its processes that run this module of ours."""
        found = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                found += [process] * (process.cmdline()[2:] == [module])
        return found


@pytest.fixture(scope="module")
def shop(require: Callable[[str], str]) -> Iterator[Supervised]:
    with supervising(require("supervisord"), apps=1) as running:
        yield running


@pytest.fixture(scope="module")
def container(image: Engine, require: Callable[[str], str], shop: Supervised) -> Iterator[Container]:
    """It is up, all of it, on its embedded defaults; the folder of its authors was made by `paramedic init` in the image."""
    network = image.network(name := f"paramedic-{os.getpid()}")
    mine = image.authored("mine", f"--network={network}")
    with sshd_running(require, address=image.gateway_of(network)) as sshd:
        written(mine / "runbooks", sshd, shop)
        made = Container(image, name, shop, network, mine / "runbooks")
        made.start()
        until("its start", lambda: "Prefect UI" in made.log(), 400, tick=lambda: time.sleep(1))
        yield made
        image.run("rm", "--force", "--time=0", "--volumes", name)


def written(books: Path, sshd: Sshd, shop: Supervised) -> None:
    """The files that `init` made, changed for a program on `web-7`, whose key and host key are beside them."""
    for file, content in (("id", (sshd.folder / "key").read_text()), ("known_hosts", sshd.known_hosts.read_text())):
        (books / file).touch(mode=0o600)
        (books / file).write_text(content)
        os.chown(books / file, USER, USER)
    reached = f"address: {sshd.address}, port: {sshd.port}, user: {sshd.user}"
    reached += ", key: /runbooks/id, known_hosts: /runbooks/known_hosts"
    supervisord = f"supervisord: {{program: {SHOP}, address: 'unix://{shop.folder}/s'}}"
    changed(
        books / "services.yaml",
        **{
            "services:": f"hosts:\n  web-7:\n    ssh: {{{reached}}}\nservices:",
            "host: localhost ": "host: web-7 ",
            "systemd: my-service.service ": f"{supervisord} ",
            "        health: http": "        # health: http",
        },
    )
    changed(
        books / "my-service-down.md",
        **{
            "{systemd: my-service.service, host: localhost}": f"{{supervisord: {SHOP}, host: web-7}}",
            "evidence: [journal]": "evidence: [process-tree]",
            "health: ok, stable: 1m, within: 5m": "memory_below: 500MB, stable: 1s, within: 1m",
            "mode: observe": "mode: act",
        },
    )


def test_it_holds_what_it_runs_and_nothing_else(image: Engine) -> None:
    found = image.inspect(IMAGE)
    config = found["Config"]
    assert (config["User"], config["StopSignal"], config["Entrypoint"]) == (f"{USER}:{USER}", "SIGTERM", ["paramedic"])
    assert found["Healthcheck"]["Test"] == ["CMD", "python", "-Pm", "paramedic.stack.health_check"]
    names = {variable.partition("=")[0] for variable in config["Env"]} - {"PATH", "HOME", "PYTHONUNBUFFERED"}
    assert names == {"PARAMEDIC_DATA", "PARAMEDIC_RUNBOOKS", "PARAMEDIC_HOST", "PARAMEDIC_METRICS_PORT"}
    sizes = {name: image.inspect(name)["Size"] for name in (IMAGE, BASE)}
    print({name: f"{size / 1e6:.0f} MB" for name, size in sizes.items()})
    assert sizes[IMAGE] - sizes[BASE] < ADDS * 1e6
    added = image.added(IMAGE, BASE)
    assert {path.split("/")[1] for path in added} == {"opt", "data", "runbooks", "etc"}
    assert {path for path in added if path.startswith("/etc/")} == {"/etc/passwd", "/etc/group"}
    ours = [path for path in added if path.startswith("/opt/") and "/site-packages/" not in path]
    assert {path.split("/")[3] for path in ours if path.count("/") > 2} == {
        ".venv", "LICENSE", "README.md", "flows", "paramedic", "prefect.yaml", "pyproject.toml", "tasks", "uv.lock",
    }  # fmt: skip
    forbidden = {".git", ".cache", ".env", "secrets", "uv", "uvx", "pip.conf", "uv.toml", "pytest"}
    assert [path for path in added if path.rpartition("/")[2] in forbidden] == []
    assert [
        path for path in ours if path.rpartition("/")[2] in ("tests", "conftest.py")
    ] == []  # packages may have theirs


def test_its_user_may_write_to_data_alone(image: Engine) -> None:
    may = image.says(IMAGE, "-c", WRITABLE, options=("--cap-drop=all", "--entrypoint=python")).splitlines()
    assert {path for path in may if path != "/data"} <= _OF_DEBIAN
    assert "/data" in may
    # podman's own --read-only-tmpfs would give it /run and /var/tmp too
    strict = (*HARDENED, "--read-only-tmpfs=false", "--entrypoint=python")
    assert sorted(image.says(IMAGE, "-c", WRITABLE, options=strict).splitlines()) == ["/data", "/tmp"]


def test_python_compiles_nothing_again(image: Engine) -> None:
    stale = image.says(IMAGE, "-c", STALE, options=(*HARDENED, "--entrypoint=python")).splitlines()
    assert stale == []


def test_it_heals_by_an_alert_of_its_published_port(container: Container) -> None:
    until("its health", container.is_well, 180, tick=lambda: time.sleep(1))
    assert container.says("paramedic", "--version").startswith("paramedic ")
    container.shop.comes_to("FATAL", SHOP)
    (container.shop.folder / f"{SHOP}.mended").touch()  # it would run now, if somebody started it
    container.accepts("MyServiceDown")
    until(
        "its end", lambda: "remediated" in container.says("paramedic", "incident", "list"), tick=lambda: time.sleep(1)
    )
    shown = container.says("paramedic", "incident", "show", "1")
    assert f"restarted web-7/{SHOP}: done, and it helped" in shown
    assert container.shop.comes_to("RUNNING", SHOP)
    assert container.shop.starts(SHOP) == 2
    assert "verified" in container.says("paramedic", "audit", "verify")


def test_its_log_has_no_login(container: Container) -> None:
    assert "`paramedic ui --data /data/paramedic`" in container.log()
    assert "login#" not in container.log()
    assert "login#" in container.says("paramedic", "ui")


def test_doctor_finds_only_that_nobody_can_be_told(container: Container) -> None:
    found = json.loads(container.podman.run("exec", container.name, "paramedic", "doctor", "--json", well=False))
    assert {each["what"] for each in found if not each["well"]} == {"links", "mail"}


def test_what_a_killed_process_leaves_does_not_stay_behind(container: Container) -> None:
    """The first process of a container inherits the orphans of all others: who else would take them?"""
    [responder] = container.running("paramedic.responder")
    left = responder.children(recursive=True)
    assert left
    responder.kill()
    until("another responder", lambda: container.running("paramedic.responder") not in ([], [responder]))
    until("who takes its orphans", lambda: not [each for each in left if each.is_running()], 30)


def test_the_health_check_sees_a_gateway_that_stands_still(container: Container) -> None:
    [gateway] = container.running("paramedic.gateway")
    gateway.suspend()
    try:
        said = container.podman.run("healthcheck", "run", container.name, well=False)
        assert "unhealthy" in said
    finally:
        gateway.resume()
    until("its health", container.is_well)


def test_a_stop_ends_all_of_it_in_time_and_a_start_goes_on(container: Container) -> None:
    family, begun = container.family(), time.monotonic()
    container.podman.run("stop", "--time=60", container.name)
    took = time.monotonic() - begun
    state = container.podman.inspect(container.name)["State"]
    print(f"stopped in {took:.1f} s")
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert took < 10
    assert [process for process in family if process.is_running()] == []
    assert container.log().splitlines()[-1] == "stopping …"
    volume = ("-v", f"{container.name}:/data", "-v", f"{container.books}:/runbooks:ro")
    assert "verified" in container.podman.says(IMAGE, "audit", "verify", options=(*HARDENED, *volume))
    container.podman.run("start", container.name)
    until("its health", container.is_well, 300, tick=lambda: time.sleep(1))
    assert "remediated" in container.says("paramedic", "incident", "list")
    container.accepts("SomethingElse")
    until("its incident", lambda: "SomethingElse" in container.says("paramedic", "incident", "list"))
