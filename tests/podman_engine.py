"""A real Docker Engine API: podman's service of a test's own, with containers of runc from an image with busybox alone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from required import missing
from waiting import until

from paramedic.errors import TemporaryError
from paramedic.integrations.targets.container import Reader
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local

APPLETS = ("sh", "chroot", "sleep", "echo", "cat", "test", "mkdir", "httpd")

#: What every container is started with here: no limits that this user may not raise.
PLAIN = ("--log-driver=k8s-file", "--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000")

#: Prints, and ends at once when it is asked to.
WELL = "trap 'exit 0' TERM; echo begun; echo trouble >&2; while :; do sleep 0.1; done"


class Podman:
    """A running service; its storage, its containers and its socket are the test's alone."""

    def __init__(self, require: Callable[[str], str]) -> None:
        if os.geteuid() != 0:
            missing("only root can make containers here")
        podman, busybox = require("podman"), require("busybox")
        require("runc")
        self.folder = Path(tempfile.mkdtemp(prefix="pod"))  # a socket's path has little room
        self.socket = f"{self.folder}/s"
        places = [f"--{name}={self.folder}/{name}" for name in ("root", "runroot", "tmpdir")]
        self._podman = [podman, *places, "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        self._podman.append("--storage-driver=vfs")
        image = self.folder / "image"
        (image / "bin").mkdir(parents=True)
        shutil.copy(busybox, image / "bin" / "busybox")
        for applet in APPLETS:
            (image / "bin" / applet).symlink_to("busybox")
        subprocess.run(["tar", "-C", image, "-cf", self.folder / "image.tar", "."], check=True)
        self.run("import", "-q", f"{self.folder}/image.tar", "plain:1")
        self.service = self._serve()

    def _serve(self) -> subprocess.Popen[bytes]:
        service = subprocess.Popen(
            [*self._podman, "system", "service", "--time=0", f"unix://{self.socket}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until("podman listens", Path(self.socket).exists, 60)
        return service

    def run(self, *words: str) -> str:
        """A command of podman's."""
        done = subprocess.run([*self._podman, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, name: str, script: str = WELL, *more: str, network: str = "none") -> Target:
        """A new running container, and it as a target."""
        self.run(
            "run", "--detach", f"--name={name}", f"--network={network}", *PLAIN, *more, "plain:1", "sh", "-c", script
        )
        return self.target(name)

    def image(self, name: str, script: str, *changes: str) -> str:
        """A new image whose containers run the script by themselves; its id, as the Engine names it."""
        asked = [f'CMD ["sh", "-c", {json.dumps(script)}]', f"LABEL made-as={name}", f"ENV MADE_AS={name}", *changes]
        words = [word for change in asked for word in ("--change", change)]
        self.run("import", "-q", *words, f"{self.folder}/image.tar", name)
        return f"sha256:{self.run('inspect', '--type=image', '--format={{.Id}}', name)}".replace(
            "sha256:sha256:", "sha256:"
        )

    def start_from(self, image: str, name: str, *more: str, network: str = "none") -> Target:
        """A new running container of what its image says, and it as a target."""
        self.run("run", "--detach", f"--name={name}", f"--network={network}", *PLAIN, *more, image)
        return self.target(name)

    def all(self) -> dict[str, str]:
        """Every container by its name, with its state."""
        rows = self.run("ps", "--all", "--format={{.Names}} {{.State}}").splitlines()
        return dict(row.split(" ", 1) for row in rows)

    def target(self, name: str) -> Target:
        return Target(f"localhost/container:{name}", "shop", "localhost", "container", name, self.socket)

    def identity(self, name: str) -> Identity:
        return Reader(self.target(name), Local()).identity()

    def comes_to(self, name: str, well: Callable[[Identity], bool]) -> Identity:
        """The container, once it is so; podman does not answer about one while it works on it."""

        def seen() -> Identity | None:
            try:
                return now if well(now := self.identity(name)) else None
            except TemporaryError:
                return None

        found: Identity = until(f"the state of {name}", seen)
        return found

    def starts(self, name: str, *, least: int = 1) -> int:
        """How often it has printed that it has begun; a container runs a moment before it prints."""

        def printed() -> int:
            found = self.run("logs", name).split().count("begun")
            return found if found >= least else 0

        return int(until(f"{name} says that it has begun", printed))

    def freeze(self) -> None:
        """Stop the service in the middle of its work; `thaw` lets it go on. Its threads run a while after the signal."""
        self.service.send_signal(signal.SIGSTOP)

        def stopped() -> bool:
            threads = Path(f"/proc/{self.service.pid}/task").iterdir()
            return {(one / "stat").read_text().rpartition(")")[2].split()[0] for one in threads} == {"T"}

        until("podman stands still", stopped)

    def thaw(self) -> None:
        self.service.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.service.kill()
        self.service.wait()

    def remove(self) -> None:
        """End the service and its containers. No `podman system reset`: that removes networks, which are the machine's."""
        self.end()
        while left := self.run("ps", "--all", "--quiet").split():
            # one whose network another has goes after that one
            subprocess.run([*self._podman, "rm", "--force", "--time=0", *left], capture_output=True, check=False)
            assert self.run("ps", "--all", "--quiet").split() != left, "no container can be removed"
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def losing_answers(engine: str) -> Iterator[str]:
    """A socket before an Engine's, that hands every request on and loses the answer to each change."""

    def serve(line: socket.socket) -> None:
        with line, socket.socket(socket.AF_UNIX) as up:
            if not (request := line.recv(65_536)):
                return
            up.connect(engine)
            up.sendall(request)
            if lost := request.startswith(b"POST"):
                line.shutdown(socket.SHUT_RDWR)
            while came := up.recv(65_536):
                if not lost:
                    line.sendall(came)

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    path = f"{engine}-losing"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        threading.Thread(target=accept, daemon=True).start()
        yield path
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(require: Callable[[str], str]) -> Iterator[Podman]:
    running = Podman(require)
    try:
        yield running
    finally:
        running.remove()
