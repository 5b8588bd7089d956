"""A story on a container, by the Docker Engine API: it breaks, and is restarted. The Engine is a podman of the demo's own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from paramedic.demo.folder import runbook_of_container
from paramedic.demo.story import Scenario, Stage, healed
from paramedic.demo.world import free_port
from paramedic.machine.clock import utc_now
from paramedic.machine.parent_death import command

NAME = "kitchen"

#: What it runs: a web server whose page is made at every start.
_SCRIPT = """\
trap 'exit 0' TERM
echo begun
mkdir -p /www
echo well > /www/index.html
httpd -f -p 127.0.0.1:{port} -h /www & wait
"""

_APPLETS = ("sh", "echo", "mkdir", "httpd", "rm", "sleep")
_SOON_SECONDS = 60
_COMMAND_SECONDS = 120


def missing() -> str | None:
    """What this machine lacks for it."""
    if os.geteuid() != 0:
        return "the demo's podman needs root"
    lacking = [program for program in ("podman", "runc", "busybox") if shutil.which(program) is None]
    packages = " ".join("busybox-static" if program == "busybox" else program for program in lacking)
    return f"this machine has no {', '.join(lacking)} (Debian: apt install {packages})" if lacking else None


class Containers:
    """One container that serves a page, in an Engine of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        places = [f"--{name}={folder}/{name}" for name in ("root", "runroot", "tmpdir")]
        self.podman = [
            "podman",
            *places,
            "--runtime=runc",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--storage-driver=vfs",
        ]
        self.socket = folder / "s"
        self.hosts = ""
        self.services = (
            f"  {NAME}:\n    owner: delivery\n    targets:\n"
            f'      - {{host: localhost, container: {{name: {NAME}, socket: {self.socket}}}, health: "http://127.0.0.1:{self._port}/"}}\n'
        )
        self.runbooks: Mapping[str, str] = {f"{NAME}-down.md": runbook_of_container(NAME)}

    def run(self, *words: str | Path) -> str:
        """A command of podman's. Raises CalledProcessError."""
        done = subprocess.run(
            [*self.podman, *words], check=True, capture_output=True, text=True, timeout=_COMMAND_SECONDS
        )
        return done.stdout.strip()

    def begin(self) -> None:
        """Make the image, of busybox alone, and start the container."""
        image = self._folder / "image"
        (image / "bin").mkdir(parents=True)
        shutil.copy(str(shutil.which("busybox")), image / "bin" / "busybox")
        for applet in _APPLETS:
            (image / "bin" / applet).symlink_to("busybox")
        subprocess.run(["tar", "-C", image, "-cf", self._folder / "image.tar", "."], check=True)
        self.run("import", "-q", self._folder / "image.tar", f"{NAME}:1")
        limits = ("--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000", "--log-driver=k8s-file")
        self.run(
            "run",
            "--detach",
            f"--name={NAME}",
            "--network=host",
            *limits,
            f"{NAME}:1",
            "sh",
            "-c",
            _SCRIPT.format(port=self._port),
        )

    @property
    def starts(self) -> int:
        """How often it says that it has begun."""
        return self.run("logs", NAME).split().count("begun")

    def play(self, stage: Stage) -> Scenario:
        """Its page is gone; one restart by the Engine's API heals it."""
        scenario, began = Scenario("container"), utc_now()
        stage.say(f"the page of the container {NAME} is gone: its health check sees it")
        self.run("exec", NAME, "rm", "/www/index.html")
        return self._judged(stage, scenario, began)

    def _judged(self, stage: Stage, scenario: Scenario, began: datetime) -> Scenario:
        healed(stage, scenario, f"localhost/container:{NAME}", began)
        starts = self.starts
        scenario.expect(starts == 2, f"the container was started {starts} times, not twice")
        return scenario


@contextmanager
def started(folder: Path) -> Iterator[Containers]:
    """The Engine and its container. Raises TimeoutError, OSError or CalledProcessError where they cannot be started."""
    folder.mkdir(parents=True)
    here = Containers(folder)
    words = [*here.podman, "system", "service", "--time=0", f"unix://{here.socket}"]
    service = subprocess.Popen(command(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        here.begin()
        until = time.monotonic() + _SOON_SECONDS
        while not here.socket.exists():
            if time.monotonic() > until:
                raise TimeoutError(f"podman's service does not listen within {_SOON_SECONDS} s")
            time.sleep(0.1)
        yield here
    finally:
        service.kill()
        service.wait()
        subprocess.run(
            [*here.podman, "rm", "--all", "--force", "--time=0"],
            check=False,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
        )
