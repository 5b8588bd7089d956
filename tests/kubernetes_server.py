"""A real Kubernetes control plane, as the demo has it, for tests: with a limited user, and kubectl's word beside ours.

`.ci/kubernetes` builds the API server and the controller manager. Only the kubelet is a double (`paramedic.demo.control_plane`).
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from required import missing

from paramedic.demo.control_plane import PROGRAMS, ControlPlane, built, program, status_of
from paramedic.remediation.host import Host, KubernetesAccess

__all__ = ["Server", "control_plane", "programs", "status_of"]


def programs() -> None:
    """Without the built programs the test is skipped, or fails where they are required."""
    for name in PROGRAMS:
        if program(name) is None:
            missing(f"there is no {name} in {built()}: `.ci/kubernetes` builds it")


class Server(ControlPlane):
    """The running control plane. Each test works in a namespace of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        super().__init__(folder, *flags, users={"limited": "paramedic"})

    @property
    def limited(self) -> Host:
        """As the user `paramedic`, whom RBAC allows what the test grants."""
        return Host("prod", kubernetes=KubernetesAccess(str(self.folder / "limited")))

    def kubectl(self, *words: str) -> str:
        """What kubectl answers the admin."""
        kubectl = shutil.which("kubectl") or missing("there is no kubectl")
        done = subprocess.run(
            [kubectl, f"--kubeconfig={self.folder / 'admin'}", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def control_plane(folder: Path, *flags: str) -> Iterator[Server]:
    """One that runs, in this folder; its API server with these flags more."""
    programs()
    with Server(folder, *flags).running() as server:
        yield server
