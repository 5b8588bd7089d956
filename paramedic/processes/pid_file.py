"""Looks at a process by its pid file: whose pid it holds, and whether that is the program that services.yaml describes."""

import posixpath
import re
import shlex
from datetime import timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import process_target
from paramedic.kinds.transport import OutOfTime, ProcessFacts, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.processes.pid_words import Words
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

#: A pid file has a number in it, and may end its line. Bytes.
LONGEST = 64

#: The highest pid that Linux gives (proc(5), pid_max), and the first that is no whole machine's: 0 and -1 mean many processes.
_MOST, _LEAST = 4_194_304, 2

_SHOWN = 200

# `stat` writes the kind and rights as hexadecimal digits (inode(7)).
_KIND, _LINK, _REGULAR, _BY_EVERYBODY = 0o170000, 0o120000, 0o100000, 0o002


class Reader:
    """Looks at one process by its pid file."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._target = target
        self._words: Words = target.words
        self._transport = transport
        self._timeout = timeout

    def identity(self) -> Identity:
        """The running instance of the process; without one where there is no pid file, or a stale one.

        Raises PermanentError where the file cannot be trusted, or the process is not the one that services.yaml describes;
        TemporaryError where the file is being written, or the machine does not answer.
        """
        if (pid := self._pid()) is None:
            return process_target.process_identity(None, None, "stopped/no-pid-file")
        found = self._transport.processes.facts(pid)
        if found is None or found.ended:
            return process_target.process_identity(None, None, f"stopped/{'zombie' if found else 'stale-pid-file'}")
        self._must_be_meant(found)
        state = "suspended" if found.state in {"T", "t"} else "running"
        return process_target.process_identity(
            pid, found.started_at, state, invocation=invocation_of(found.boot, found.began)
        )

    def owns(self, pid: int) -> bool:
        """Whether it is the process now. Raises as `identity` does."""
        return process_target.process_of(self.identity())[0] == pid

    def _pid(self) -> int | None:
        """The pid in the file; None where there is no file. Raises as `identity` does."""
        file = self._words.pid_file
        if not self._is_there():
            return None
        content = self._transport.read(file, LONGEST)
        if not content.strip():
            raise TemporaryError(f"{file} is empty just now: its program may be writing it")
        if not re.fullmatch(rb"\s*\d{1,9}\s*", content) or not _LEAST <= int(content) <= _MOST:
            shown = one_line(content.decode(errors="backslashreplace"))
            raise PermanentError(f"{file} holds {shown!r:.80}, which is not the pid of one process")
        return int(content)

    def _is_there(self) -> bool:
        """Whether there is a pid file that may be trusted. Raises PermanentError where anybody could have written it."""
        file = self._words.pid_file
        folder = posixpath.dirname(file)
        command = ("env", "LC_ALL=C", "stat", "-c", "%f %s", "--", posixpath.join(folder, "."), file)
        if not self._transport.leads_to(self._target.host):
            raise PermanentError(
                f"{self._target.id} is a process of {self._target.host}, and this machine is {self._transport.machine}"
            )
        try:
            ended = self._transport.run(command, boottime() + self._timeout.total_seconds())
        except OutOfTime as error:
            raise TemporaryError(f"{file} could not be looked at in {spoken(self._timeout)}") from error
        if "ermission denied" in ended.errors:
            raise PermanentError(f"{file} may not be looked at by this user: {one_line(ended.errors):.200}")
        shown = [line.split() for line in ended.output.splitlines()]
        if shown and int(shown[0][0], 16) & _BY_EVERYBODY:
            raise PermanentError(
                f"{folder} may be written to by everybody, who could name any process in {file}: "
                "keep pid files in a folder of their program's own"
            )
        if len(shown) < 2:
            if ended.code != 0 and "o such file" in ended.errors:
                return False
            raise TemporaryError(f"{file} could not be looked at: {one_line(ended.errors):.200}")
        mode, size = int(shown[1][0], 16), int(shown[1][1])
        if mode & _KIND != _REGULAR:
            what = "a symlink" if mode & _KIND == _LINK else "not a regular file"
            raise PermanentError(f"{file} is {what}: write the path of the pid file itself")
        if mode & _BY_EVERYBODY:
            raise PermanentError(f"{file} may be written to by everybody: `chmod o-w {shlex.quote(file)}`")
        if size > LONGEST:
            raise PermanentError(f"{file} has {size:,} B: a pid file has a number in it")
        return True

    def _must_be_meant(self, found: ProcessFacts) -> None:
        """Raises PermanentError where another program, or another user's, has the pid."""
        words = self._words
        if not runs(words.command, found.arguments):
            is_now = shlex.join(found.arguments)[:_SHOWN] or "a thread of the kernel"
            because = f"is `{one_line(is_now)}`, and not `{shlex.join(words.command)}`"
        elif found.user != words.user:
            because = f"is run by the user {one_line(found.user)}, and not by {words.user}"
        else:
            return
        raise PermanentError(
            f"process {found.pid}, which {words.pid_file} names, {because}: the file is stale and the pid was given to another "
            "process, or services.yaml describes another program"
        )


def runs(command: list[str], arguments: tuple[str, ...]) -> bool:
    """Whether a process with these arguments runs the command: it begins with its words.

    Of a program that writes itself a title in place of its arguments, the title begins with the command's only word.
    """
    if len(command) == 1 and arguments and arguments[0].startswith(f"{command[0]} "):
        return True
    return list(arguments[: len(command)]) == command


def invocation_of(boot: str, began: int) -> str:
    """What tells the instances of a process with one pid apart, whatever becomes of the clock."""
    return f"{boot}/{began}"


def began_of(identity: Identity) -> int:
    """When it began, in ticks after the boot, of an identity with a process."""
    return int(str(identity.instance["invocation"]).rpartition("/")[2])
