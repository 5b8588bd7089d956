"""A daemon of a test's own that writes its pid to a file, and the program that starts it."""

import getpass
import os
import signal
import subprocess
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from waiting import until

from paramedic.integrations.targets.process import Reader, Words
from paramedic.kinds.transport import Transport
from paramedic.remediation.host import Host
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local

#: It notes each start and each SIGHUP. With a file `stubborn` it handles SIGTERM and stays; SIGUSR1 it does not handle.
DAEMON = """\
trap 'echo x >> "$1/reloads"' HUP
trap '[ -e "$1/stubborn" ] || { rm -f "$1/run/app.pid"; exit 0; }' TERM
echo $$ >> "$1/starts"
[ -e "$1/unwritten" ] || echo $$ > "$1/run/app.pid"
while :; do sleep 0.02; done
"""

#: It returns before the daemon has written its pid, as many do. What ignores a signal from its first moment, as below nohup,
#: cannot trap it.
START = """\
[ ! -e "$1/broken" ] || { echo 'cannot bind to port 80' >&2; exit 7; }
setsid env --default-signal=HUP sh -c 'exec /bin/sh "$1/daemon" "$1"' sh "$1" </dev/null >/dev/null 2>&1 &
"""


class Daemon:
    """The daemon, and the folder that it works in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid_file = folder / "run" / "app.pid"
        folder.chmod(0o755)
        self.pid_file.parent.mkdir(mode=0o755)
        (folder / "daemon").write_text(DAEMON)
        (folder / "start").write_text(START)

    def words(self, **other: Any) -> dict[str, Any]:
        """What services.yaml says of it, but for what is given."""
        known = {
            "name": "app",
            "pid_file": str(self.pid_file),
            "command": ["/bin/sh", str(self.folder / "daemon")],
            "user": getpass.getuser(),
            "start": ["/bin/sh", str(self.folder / "start"), str(self.folder)],
            "stop_within": "5s",
            "reload": "HUP",
        } | other
        return {key: value for key, value in known.items() if value is not None}

    def target(self, host: Host | str = "localhost", **other: Any) -> Target:
        name, machine = (host, None) if isinstance(host, str) else (host.name, host)
        words = Words.model_validate(self.words(**other))
        return Target(
            f"{name}/process:app", "shop", name, "process", "app", words.pid_file, machine=machine, words=words
        )

    def starts(self) -> list[int]:
        file = self.folder / "starts"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def reloads(self) -> int:
        file = self.folder / "reloads"
        return len(file.read_text().split()) if file.exists() else 0

    def begins(self) -> int:
        """Start it, and wait until it has written its pid, or, with `unwritten`, its start."""
        before = len(self.starts())
        subprocess.run(self.words()["start"], check=True, start_new_session=True)
        until("the daemon runs", lambda: len(self.starts()) > before and self._has_written(), 20)
        return self.starts()[-1]

    def _has_written(self) -> bool:
        if (self.folder / "unwritten").exists():
            return True
        with suppress(OSError):
            return self.pid_file.read_text().strip() == str(self.starts()[-1])
        return False

    def identity(self, transport: Transport | None = None, **other: Any) -> Identity:
        return Reader(self.target(**other), transport or Local(), timedelta(seconds=30)).identity()

    def end(self) -> None:
        for pid in self.starts():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
