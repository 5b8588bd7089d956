"""Changes by a program on the host: under a lock there, with a mark there that says what became of it."""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.transport import KEPT, Ended, MarkState, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.text.decoding import decode
from paramedic.text.sanitize import one_line, visible
from paramedic.transports import ssh_mark
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_run import CLEAN
from paramedic.transports.ssh_shell import Lost, Shell, answer, quoted, shell

#: So long the host has to say that a change is ready to be begun, and that it has begun. Seconds.
_READY_SECONDS = 10.0
_BEGIN_SECONDS = 10.0

#: How long a program has to end by itself after SIGTERM. Seconds.
_GRACE_SECONDS = 2.0

#: How often the host is asked what became of a change whose connection was cut. Seconds.
_ASK_SECONDS = 0.5

#: Programs that a change needs there besides its own.
_NEEDED = ("env", "find", "flock", "setsid", "tail", "timeout")

# Whether it could be begun; it prints what is missing, a line each, and `program FILE` of the program that it found.
_READY = """
for p in $needed; do command -v "$p" >/dev/null || echo "missing $p"; done
p=$(command -v -- "$program") && case $p in /*) [ -x "$p" ] && [ -f "$p" ];; esac &&
echo "program $p" || echo "missing $program"
[ -z "$folder" ] || (cd -- "$folder") 2>/dev/null || echo "no folder"
mkdir -p -m 700 "$d" 2>/dev/null && [ -w "$d" ] || echo "no marks $d"
find "$d" -name '*.out' -mtime +1 -delete -o -name '*.err' -mtime +1 -delete -o -type f -mtime +$days -delete 2>/dev/null
"""

# Printing to us may fail: shells of their own do it, so that SIGPIPE ends nothing else, and errors are said to nobody. The mark
# is locked for as long as the change is being worked off; both locks are free before its end is said. The outputs are cut in
# time: no program fills the disk with them. A program that was ended by a signal when its time was over was ended for that.
_CHANGE = """
exec 2>/dev/null
say() { (printf '%s %s\\n' "$token" "$*") || :; }
umask 077
m="$d/$act"
uptime() { read -r up _ < /proc/uptime && echo "${up%.*}"; }
exec 9>>"$d/lock-$lock" || { say refused its lock cannot be opened; exit 0; }
flock -n 9 || { say busy; exit 0; }
(set -C; echo "begun $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)" > "$m") 2>/dev/null || { say refused marked; exit 0; }
exec 8>>"$m"; flock 8
[ -z "$folder" ] || cd -- "$folder" || { echo "ended 126" >&8; say refused its folder is gone; exit 0; }
: > "$m.out"; : > "$m.err"
began=$(uptime)
(
exec 8>&- 9>&- </dev/null >>"$m.out" 2>>"$m.err"
run_it
) &
p=$!
say begun "$p"
(
exec 8>&- 9>&- </dev/null >/dev/null 2>&1
while sleep 1; do
for f in "$m.out" "$m.err"; do [ "$(stat -c %s "$f")" -lt 1048576 ] || { tail -c $kept "$f" > "$f.end"; : > "$f"; }; done
done
) &
w=$!
wait "$p"; c=$?
kill "$w"
[ -z "$limit" ] || [ "$c" -le 128 ] || [ $(($(uptime) - began)) -lt "$limit" ] || c="$c limit"
echo "ended $c" >&8
exec 8>&- 9>&-
"""

_OUTPUTS = """
both() { cat "$1.end" "$1" 2>/dev/null | tail -c $kept; }
(printf '%s ended %s\\n' "$token" "$c"; both "$m.out"; printf '%s' "$token"; both "$m.err"; printf '%s' "$token") &&
rm -f "$m.out" "$m.err" "$m.out.end" "$m.err.end"
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what is run, for which act, under which lock."""

    act: str  # the mark's name
    lock: str  # changes of one lock exclude each other there
    arguments: tuple[str, ...]
    cwd: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: timedelta | None = None  # so long after its start the host ends it
    is_limited_surely: bool = False  # it is not begun where the host may not
    sudoers: str | None = None  # its arguments in a line of the sudoers, where no two runs have the same


class SshCommand:
    """A program that can be started once on the host: all that is slow or uncertain is done before `start`."""

    def __init__(self, connection: SshConnection, change: Change) -> None:
        """Raises PermanentError where something is missing there, in words; TemporaryError where it is not reached."""
        self._connection, self._change = connection, change
        self._host = connection.host.name
        ssh = connection.host.ssh
        self._sudo = ssh is not None and ssh.sudo
        self._held = ExitStack()
        self._shell: Shell | None = None
        self._received = b""
        self._process = ""
        self._sudo_limits = False  # whether sudo lets us say when it ends the program
        self._ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def start(self) -> None:
        """Start it. Raises TemporaryError or PermanentError, and nothing ran; OutcomeUnknown where that is not known."""
        deadline = boottime() + _BEGIN_SECONDS
        sh = self._shell = self._held.enter_context(shell(self._connection, deadline))
        try:
            sh.send(self._script(sh.token), deadline, last=True)
            said = self._line(sh, deadline)
        except (Lost, TimeoutError) as error:
            said = self._word_of_the_mark(error)
        match said.split(" "):
            case ["begun", process]:
                self._process = process
            case ["busy"]:
                raise TemporaryError(f"another change of the same target is running on {self._host}")
            case ["refused", "marked"]:
                raise PermanentError(f"{self._host} has a mark of {self._change.act} already: nothing is done twice")
            case _:
                raise PermanentError(f"{self._host} did not begin it: {one_line(said)[:300]}")

    def end(self, deadline: float) -> Ended:
        """How it ended, `deadline` at the latest.

        Raises OutOfTime once its process group was told to end, OutcomeUnknown where the host was lost and does not say by
        then what became of it.
        """
        sh = self._shell
        if sh is None:
            raise RuntimeError("it was not started")
        if not self._process:
            return self._asked_again(deadline, "the connection was cut")
        try:
            said = self._line(sh, deadline)
            output = self._until_token(sh, deadline)
            errors = self._until_token(sh, deadline)
        except Lost as error:
            return self._asked_again(deadline, str(error))
        except TimeoutError as error:
            self._stop()
            raise OutOfTime(self._last_words(sh)) from error
        code, _, how = said.removeprefix("ended ").partition(" ")
        return Ended(int(code), _text(output), _text(errors), limited=how == "limit")

    def _last_words(self, sh: Shell) -> str:
        """What it had printed when it was ended; nothing where that does not come."""
        deadline = boottime() + _GRACE_SECONDS
        try:
            self._line(sh, deadline)
            return _text(self._until_token(sh, deadline)) + _text(self._until_token(sh, deadline))
        except (Lost, TimeoutError):
            return ""

    def _ready(self) -> None:
        """Raises PermanentError with what is missing on the host."""
        change, needed = self._change, _NEEDED if not self._sudo else (*_NEEDED, "sudo")
        program = _split(change.arguments)[1][0]
        script = "\n".join(
            [
                f"needed={quoted([' '.join(needed)])} program={quoted([program])} folder={quoted([change.cwd or ''])}",
                f"days={ssh_mark.DAYS}",
                ssh_mark.FOLDER,
                _READY,
                self._may_sudo() if self._sudo else "",
            ]
        )
        deadline = boottime() + _READY_SECONDS
        said = answer(self._connection, script, deadline).decode(errors="replace").splitlines()
        found = next((line.removeprefix("program ") for line in said if line.startswith("program ")), program)
        for line in said:
            match line.split(" ", 1):
                case ["missing", name]:
                    raise PermanentError(f"{self._host} has no program {name!r:.200} that its user may run")
                case ["no", "folder"]:
                    raise PermanentError(f"there is no folder {change.cwd} on {self._host} to run {program} in")
                case ["has", "limit"]:
                    self._sudo_limits = True
                case ["no", "sudo"]:
                    raise PermanentError(f"{self._host} lacks a line in its sudoers: {self._sudoers(found)}")
                case ["no", marks]:
                    folder = marks.removeprefix("marks ")
                    raise PermanentError(
                        f"{self._host}: its user cannot write in {one_line(folder)}, where what became of a change is kept"
                    )

    def _may_sudo(self) -> str:
        """Asks sudo whether it would run the program, and end it in time."""
        program, seconds = quoted(_split(self._change.arguments)[1]), self._seconds()
        asked = f"sudo -n -l -- {program}"
        if seconds is None:
            return f"{asked} >/dev/null 2>&1 || echo 'no sudo'"
        otherwise = "echo 'no sudo'" if self._change.is_limited_surely else f"{asked} || echo 'no sudo'"
        return f"{{ sudo -n -l -T {seconds} -- {program} >/dev/null && echo 'has limit' || {otherwise}; }} 2>/dev/null"

    def _seconds(self) -> str | None:
        """After how many it is to be ended there."""
        limit = self._change.limit
        return None if limit is None else str(max(1, round(limit.total_seconds())))

    def _sudoers(self, program: str) -> str:
        ssh = self._connection.host.ssh
        user = ssh.user if ssh is not None else ""
        words = [re.sub(r"([\\,:= ])", r"\\\1", word) for word in _split(self._change.arguments)[1][1:]]
        tags = "NOPASSWD:SETENV:" if self._change.environment else "NOPASSWD:"
        arguments = " ".join(words) if self._change.sudoers is None else self._change.sudoers
        line = f"`{user} ALL=(root) {tags} {program} {arguments}".rstrip() + "`"
        if self._change.is_limited_surely:
            line += f" and `Defaults:{user} user_command_timeouts`"
        return line

    def _script(self, token: str) -> str:
        change = self._change
        values = {"token": token, "act": change.act, "lock": change.lock, "folder": change.cwd or "", "kept": str(KEPT)}
        values["limit"] = self._seconds() or ""
        named = " ".join(f"{name}={quoted([value])}" for name, value in values.items())
        exports = "".join(f"export {name}={quoted([value])}\n" for name, value in change.environment.items())
        run_it = f"run_it() {{\n{CLEAN}{exports}exec setsid {quoted(self._words())}\n}}"
        return f"{ssh_mark.FOLDER}\n{named}\n{run_it}\n{_CHANGE}\n{_OUTPUTS}"

    def _words(self) -> list[str]:
        """The program as it is started: `sudo` just before it, and the host's own guard before that."""
        setting, program = _split(self._change.arguments)
        seconds = self._seconds()
        if self._sudo:  # sudo and what it runs are root's, and not ours to end: it has a guard of its own
            guard = ["-T", seconds] if seconds is not None and self._sudo_limits else []
            kept = [f"--preserve-env={','.join(self._change.environment)}"] if self._change.environment else []
            return [*setting, "sudo", "-n", *guard, *kept, "--", *program]
        return [*(("timeout", "--signal=KILL", seconds) if seconds is not None else ()), *setting, *program]

    def _line(self, sh: Shell, deadline: float) -> str:
        """The next line that is ours, without the token."""
        token = sh.token.encode()
        while token not in self._received or b"\n" not in self._received.partition(token)[2]:
            self._more(sh, deadline)
        line, _, self._received = self._received.partition(token)[2].partition(b"\n")
        return line.decode(errors="replace").strip()

    def _until_token(self, sh: Shell, deadline: float) -> bytes:
        token = sh.token.encode()
        while token not in self._received:
            self._more(sh, deadline)
        found, _, self._received = self._received.partition(token)
        return found

    def _more(self, sh: Shell, deadline: float) -> None:
        """Raises Lost where nothing more comes."""
        chunk = sh.receive(deadline)
        if not chunk:
            raise Lost(f"{self._host} was lost: the connection was cut, or the change's shell was ended")
        self._received = (self._received + chunk)[-8 * KEPT :]

    def _word_of_the_mark(self, lost: Exception) -> str:
        """What `start` would have heard. Raises TemporaryError where it did not begin, OutcomeUnknown where nobody says."""
        self._connection.drop()
        try:
            mark = ssh_mark.look(self._connection, self._change.act)
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(f"it was sent to {self._host}, which was lost then: {error}") from lost
        if mark.state is MarkState.DID_NOT:
            raise TemporaryError(f"{self._host} was lost before it began") from lost
        return "begun "

    def _asked_again(self, deadline: float, why: str) -> Ended:
        """What the mark says, once the connection is gone: the change itself goes on there."""
        mark = None
        while boottime() < deadline:
            try:
                mark = ssh_mark.look(self._connection, self._change.act)
            except (TemporaryError, PermanentError) as error:
                why = str(error)
            else:
                if mark.state is MarkState.HAPPENED and mark.code is not None:
                    words = f"{self._host} was lost for a while, and so was the output"
                    return Ended(mark.code, "", words, lost=True, limited=mark.limited)
                if mark.state is not MarkState.RUNNING:
                    break
            time.sleep(_ASK_SECONDS)
        says = mark.words if mark is not None else one_line(why)
        raise OutcomeUnknown(f"the connection to {self._host} was cut after the change had begun; {says}")

    def _stop(self) -> None:
        """Tell its process group to end, as well as can be: what root runs is left to sudo's own guard."""
        group = quoted([f"-{int(self._process)}"])
        script = f"kill -s TERM -- {group} && for i in 1 2 3 4 5 6 7 8 9 10; do sleep {_GRACE_SECONDS / 10}; "
        script += f"kill -s 0 -- {group} || exit 0; done; kill -s KILL -- {group}"
        try:
            answer(self._connection, f"({script}) 2>/dev/null", boottime() + _GRACE_SECONDS + _BEGIN_SECONDS)
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(f"its time is over, and it could not be ended: {error}") from error


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is set for the program (`env NAME=VALUE …`), and the program with its arguments."""
    words = list(arguments)
    if words[0] != "env":
        return [], words
    count = next(
        (n for n, word in enumerate(words[1:], 1) if not re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word)), len(words)
    )
    return (words[:count], words[count:]) if count < len(words) else ([], words)


def _text(data: bytes) -> str:
    return visible(decode(data, offset=0, head=data[:4]))
