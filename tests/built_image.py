"""The image of deployments/container, built on a base of Debian's packages, and containers of it: in a podman store of its own.

No registry is asked. The base is made once and kept outside the tree: `PARAMEDIC_IMAGE_BASE`, or the user's cache folder.
"""

import fcntl
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from required import missing

from paramedic.machine.clock import utc_now
from paramedic.settings import ROOT

#: Whose python3 is 3.11, the oldest that Paramedic takes.
RELEASE = "bookworm"
USER = 64210
IMAGE = "localhost/paramedic:tested"
BASE = "localhost/base:1"

_PACKAGES = "python3,python3-venv,ca-certificates"

#: What is mounted while an image is built has its place already, or an empty file of its name would be left in a layer.
_HOOK = 'mkdir "$1/etc/uv" && touch "$1/etc/uv/uv.toml" "$1/etc/pip.conf"'

#: What docs/production.md starts a container with.
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges")

#: No limits that this user may not raise, and a log without a journal.
_PLAIN = ("--log-driver=k8s-file", "--ulimit=nofile=20000:20000", "--ulimit=nproc=4000:4000")

#: Of this machine, for what is fetched while an image is built: given on the command line, and in no layer.
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def base(require: Callable[[str], str]) -> Path:
    """A root of Debian's packages as a tar file; made where the cache has none, in two minutes."""
    mmdebstrap = require("mmdebstrap")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paramedic"
    folder = Path(os.environ.get("PARAMEDIC_IMAGE_BASE") or cache / f"image-{RELEASE}")
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "base.tar"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds it made
        if not made.exists():
            half = folder / "half.tar"
            words = ["--variant=minbase", f"--include={_PACKAGES}", f"--customize-hook={_HOOK}", RELEASE, str(half)]
            _done(["nice", "-n", "19", mmdebstrap, *words], seconds=1500)
            half.rename(made)
    return made


def _done(argv: Sequence[str], seconds: float, *, well: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not well, f"{' '.join(argv)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


class Engine:
    """podman with images, containers and a network of the test's own."""

    def __init__(self, require: Callable[[str], str]) -> None:
        if os.geteuid() != 0:
            missing("only root can make containers here")
        podman = require("podman")
        require("runc")
        self.folder = Path(tempfile.mkdtemp(prefix="img"))
        self.folder.chmod(0o755)
        store = Path(os.environ.get("PARAMEDIC_IMAGE_STORE") or self.folder)  # a kept one has the last build's layers
        self.argv = [podman, *(f"--{name}={store}/{name}" for name in ("root", "runroot", "tmpdir"))]
        self.argv += [f"--network-config-dir={self.folder}/networks", "--runtime=runc", "--cgroup-manager=cgroupfs"]
        self.argv += ["--events-backend=file", "--storage-driver=overlay"]
        self._store = store

    def run(self, *words: str, seconds: float = 300, well: bool = True) -> str:
        """A command of podman's: what it prints, however it ends where it need not be `well`."""
        return _done([*self.argv, *words], seconds, well=well)

    def build(self, base_tar: Path) -> None:
        """By the command of docs/production.md, on this base. What this machine needs to fetch packages is mounted."""
        if not self.run("images", "--quiet", BASE):
            self.run("import", "-q", str(base_tar), BASE, seconds=600)
        mounted = self.folder / "fetching"
        mounted.mkdir()
        (mounted / "pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\n")
        (mounted / "uv.toml").write_text("native-tls = true\n")
        fetching = ["--network=host"]
        if Path(_CERTIFICATES).exists():
            fetching += ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro", "-v", f"{mounted}/pip.conf:/etc/pip.conf:ro"]
            fetching += ["-v", f"{mounted}/uv.toml:/etc/uv/uv.toml:ro"]
        words = ["-f", f"{ROOT}/deployments/container/Containerfile", "-t", IMAGE, f"--build-arg=BASE={BASE}"]
        _done(
            ["nice", "-n", "19", *self.argv, "build", "--format=docker", "--layers", *fetching, *words, str(ROOT)], 1800
        )

    def start(self, image: str, name: str, *options: str, command: Sequence[str] = ()) -> str:
        """A container that goes on; its id."""
        return self.run("run", "--detach", f"--name={name}", *_PLAIN, *options, image, *command)

    def says(self, image: str, *command: str, options: Sequence[str] = HARDENED) -> str:
        """What a container of its own prints to its end, which is well."""
        return self.run("run", "--rm", *_PLAIN, *options, image, *command)

    def inspect(self, what: str) -> dict[str, Any]:
        [found] = json.loads(self.run("inspect", what))
        return dict(found)

    def authored(self, name: str, *options: str) -> Path:
        """A new folder of an author's, which `paramedic init` made in a container."""
        folder = self.folder / name
        folder.mkdir()
        os.chown(folder, USER, USER)
        self.says(IMAGE, "init", "/mine", options=(*HARDENED, "-v", f"{folder}:/mine", *options))
        return folder

    def network(self, name: str) -> str:
        """A new one of containers, in which this machine has an address."""
        self.run("network", "create", "--disable-dns", name)
        return name

    def gateway_of(self, network: str) -> str:
        """This machine's address in it; there once a container has been."""
        [found] = json.loads(self.run("network", "inspect", network))
        return str(found["subnets"][0]["gateway"])

    def added(self, image: str, base_image: str) -> set[str]:
        """The paths that it has and its base does not, or has with another content."""
        lines = self.run("diff", image, base_image).splitlines()
        return {line.partition(" ")[2] for line in lines}

    def remove(self) -> None:
        """What the test made, and nothing else: its containers, its networks, its store."""
        while left := self.run("ps", "--all", "--quiet").split():  # one whose network others share goes last
            self.run("rm", "--force", "--time=0", "--volumes", *left, well=False)
            assert self.run("ps", "--all", "--quiet").split() != left, "no container can be removed"
        for name in self.run("network", "ls", "--format={{.Name}}").split():
            if name != "podman":  # the machine's
                self.run("network", "rm", name)
        self.run("volume", "rm", "--all", "--force")
        subprocess.run(["umount", "-q", f"{self._store}/root/overlay"], check=False)  # podman's own bind mount
        shutil.rmtree(self.folder, ignore_errors=True)


def accepted(gateway: str, token: str, alert: str, trusting: ssl.SSLContext | bool = True) -> bool:
    """Whether the gateway takes this alert about `web-7`, which fires: with a 202, as Alertmanager asks."""
    labels = {"alertname": alert, "instance": "web-7", "severity": "critical"}
    fires = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": utc_now().isoformat()}
    body = {"version": "4", "status": "firing", "alerts": [fires]}
    with httpx.Client(timeout=30, trust_env=False, verify=trusting) as http, suppress(httpx.TransportError):
        login = {"Authorization": f"Bearer {token}"}
        return http.post(f"{gateway}/alerts/alertmanager", json=body, headers=login).status_code == 202
    return False


@contextmanager
def built(require: Callable[[str], str]) -> Iterator[Engine]:
    """An engine that has the image."""
    made = Engine(require)
    try:
        made.build(base(require))
        yield made
    finally:
        made.remove()
