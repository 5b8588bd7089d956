"""Processes that write their pid to a file, by that file and signals on the target's machine."""

from functools import partial

from paramedic.errors import PermanentError
from paramedic.kinds import process_target
from paramedic.kinds.transport import Transport
from paramedic.machine.clock import boottime
from paramedic.processes.pid_change import BY_SUDO, Changer
from paramedic.processes.pid_file import Reader
from paramedic.processes.pid_words import Words
from paramedic.remediation.target import Identity, Target
from paramedic.text.sanitize import one_line

__all__ = [
    "EVIDENCE",
    "LABEL",
    "REMEDIES",
    "Changer",
    "Reader",
    "Words",
    "address_of",
    "forbidden",
    "name_of",
    "needs",
    "process_id",
    "process_use",
    "resident_memory",
    "restarted",
    "running",
]

LABEL = "process"
REMEDIES = ("restart", "reload")

_LOOK_SECONDS = 5.0


def name_of(words: Words) -> str:
    """What services.yaml calls it."""
    return words.name


def address_of(words: Words) -> str:
    """Its pid file."""
    return words.pid_file


def needs(words: Words, remedy: str) -> str | None:
    """The key that the remedy needs and these words lack, with an example."""
    return "reload: HUP" if remedy == "reload" and words.reload is None else None


def running(identity: Identity) -> bool:
    """Whether the process runs, which does not prove that it is well; one that a signal has suspended does not."""
    return process_target.has_process(identity) and identity.state == "running"


def forbidden(target: Target, transport: Transport, remedy: str) -> str | None:
    """Why this user may not signal or start the process, and what grants it. Nothing is sent. Raises as `Reader.identity`."""
    words: Words = target.words
    if transport.by_sudo:
        return BY_SUDO.format(user=words.user)
    pid, _ = process_target.process_of(Reader(target, transport).identity())
    who = transport.run(("id", "-un"), boottime() + _LOOK_SECONDS).output.strip()
    may = who in {"root", words.user}
    if pid is not None:
        asked = transport.run(("sh", "-c", 'kill -s 0 "$1"', "sh", str(pid)), boottime() + _LOOK_SECONDS)
        may = asked.code == 0
    if not may:
        return f"the user {one_line(who)} may not signal a process of the user {words.user}: reach it as that user, or as root"
    if remedy == "restart" and words.start is not None:
        try:
            with transport.command(words.start):
                pass
        except PermanentError as error:
            return str(error)
    return None


def _owned(target: Target, pid: int, transport: Transport) -> bool:
    return Reader(target, transport).owns(pid)


EVIDENCE = process_target.evidence(
    lambda target, transport, within: Reader(target, transport, within).identity(), _owned
)
restarted = process_target.restarted
resident_memory = partial(process_target.memory_of, owned=_owned)
process_id = partial(process_target.process_id, owned=_owned)
process_use = partial(process_target.use_of, owned=_owned)
