"""Another user than root on a machine of a test, who may use sudo for what stands in a file of the test."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ssh_servers import Sshd, running

from paramedic.transports import ssh_connection

NAME, NUMBER = "helper", 4321

#: Nobody else sees these files.
AS_HELPER = """
set -e
mount -t tmpfs tmpfs /run; mkdir /run/sshd
for file in passwd shadow sudoers; do mount --bind "$0/$file" "/etc/$file"; done
exec "$@"
"""


@contextmanager
def helper(
    require: Callable[[str], str], etc: Path, *, inside: Sequence[str] = (), outside: Sequence[str] = ()
) -> Iterator[tuple[Sshd, Path]]:
    """A server that the user logs in to, and the sudoers there. `etc`: an empty folder that everybody may enter.

    `outside` and `inside` stand before and after what gives it namespaces of its own.
    """
    require("sudo")
    (etc / "home").mkdir()
    shutil.chown(etc / "home", NUMBER, NUMBER)
    for file, line in (
        ("passwd", f"{NAME}:x:{NUMBER}:{NUMBER}::{etc}/home:/bin/sh"),
        ("shadow", f"{NAME}:*:19000::::::"),
    ):
        shutil.copy(f"/etc/{file}", etc / file)
        with (etc / file).open("a") as text:
            text.write(f"{line}\n")
    (etc / "sudoers").write_text("root ALL=(ALL) ALL\n")
    (etc / "sudoers").chmod(0o440)
    around = (*outside, "unshare", "--mount", "sh", "-c", AS_HELPER, str(etc), *inside)
    with running(require, around=around, more="SetEnv LANG=C\n") as server:
        server.user = NAME
        yield server, etc / "sudoers"
    ssh_connection.close_all()


def allow(sudoers: Path, lines: str) -> None:
    """Add lines to the sudoers."""
    sudoers.chmod(0o640)
    with sudoers.open("a") as text:
        text.write(lines)
