"""The sockets of the target's process: whom it is connected to, what waits in its queues, and what it never closed."""

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import PTRACE, Gathered, Of, Scene, table

ABOUT = "sockets of the process by state and peer, what waits in their queues, and connections that it never closed"
OF = Of.PROCESS

_SHOWN = 25

#: Its own sockets alone are printed: a machine may have a hundred thousand.
_SCRIPT = """
cd "/proc/$1" || exit 1
part own; find fd -maxdepth 1 -lname 'socket:*' -printf '%l\\n' | wc -l
part lines
find fd -maxdepth 1 -lname 'socket:*' -printf ' %l \\n' 2>/dev/null | sed 's/socket:\\[//; s/\\]//' |
grep -F -H -f - net/tcp net/tcp6 net/udp net/udp6 | head -c 200000
part machine; cat net/sockstat
part drops; grep -E '^TcpExt:' net/netstat
"""

#: The states of TCP, by their numbers in /proc/net/tcp (include/net/tcp_states.h).
_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
}

#: What a state says when there are many of it.
_MEANS = {
    "CLOSE_WAIT": "the peer has closed, and the process has not: a leak, or it hangs",
    "SYN_SENT": "the peer does not answer",
    "LAST_ACK": "the peer is gone",
}

_LINE = re.compile(
    r"^net/(\w+): *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) ([0-9A-F]{8}):([0-9A-F]{8}) ",
    re.MULTILINE,
)

_DROPPED = ("ListenOverflows", "ListenDrops", "TCPTimeouts", "TCPRetransFail", "TCPAbortOnMemory")


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket of TCP or UDP."""

    protocol: str
    local: str
    peer: str
    state: str
    sending: int  # bytes not yet acknowledged
    received: int  # bytes not yet read; of one that listens, connections not yet accepted


def gather(scene: Scene) -> Gathered:
    """One look. Raises PermanentError where the process is gone, or its sockets are not for this user."""
    pid = scene.process_id()
    printed = scene.shell(_SCRIPT, str(pid))
    own = printed.part("own").strip()
    if not own:
        raise PermanentError(f"process {pid} is gone, or /proc does not show it to this user")
    if own == "0" and printed.not_permitted:
        raise PermanentError(f"not permitted; needs {PTRACE}")
    unseen = (
        () if printed.whole else ("not all of them: they were not read to their end in time; `ss -tnp` shows them",)
    )
    parts = [
        told(pid, int(own), list(read(printed.part("lines")))),
        printed.part("machine"),
        drops(printed.part("drops")),
    ]
    return Gathered("\n\n".join(filter(None, parts)), unseen)


def read(lines: str) -> Iterator[Socket]:
    """The sockets, from lines of /proc/net/tcp and its siblings, each after the file's name."""
    for protocol, local, local_port, peer, peer_port, state, sending, received in _LINE.findall(lines):
        named = _STATES.get(int(state, 16), state) if protocol.startswith("tcp") else "UDP"
        ends = (_end(local, local_port), _end(peer, peer_port))
        yield Socket(protocol, *ends, named, int(sending, 16), int(received, 16))


def told(pid: int, own: int, sockets: Sequence[Socket]) -> str:
    """The sockets in words."""
    states = Counter(socket.state for socket in sockets)
    lines = [f"process {pid} has {own:,} sockets, of which {len(sockets):,} are of TCP and UDP"]
    lines += [f"{count:>8,}  {state}{_meaning(state)}" for state, count in states.most_common()]
    listening = [socket for socket in sockets if socket.state == "LISTEN"]
    if listening:
        rows = [(socket.local, f"{socket.received:,}") for socket in listening[:_SHOWN]]
        lines += ["", table([("listens at", "not yet accepted"), *rows], right=(1,))]
    connected = [socket for socket in sockets if socket.state not in ("LISTEN", "UDP")]
    serves = {_port(socket.local) for socket in listening}
    if peers := Counter((_peer(socket, serves), socket.state) for socket in connected):
        found = [(peer, state, f"{count:,}") for (peer, state), count in peers.most_common(_SHOWN)]
        lines += ["", table([("peer", "state", "connections"), *found], right=(2,))]
    lines += _queues(connected)
    return "\n".join(lines)


def _queues(sockets: Sequence[Socket]) -> list[str]:
    """The connections in whose queues most waits."""
    waiting = [socket for socket in sockets if socket.sending + socket.received]
    waiting.sort(key=lambda socket: -(socket.sending + socket.received))
    rows = [(socket.local, socket.peer, f"{socket.received:,}", f"{socket.sending:,}") for socket in waiting[:_SHOWN]]
    return ["", table([("from", "to", "B not read by it", "B not acknowledged"), *rows], right=(2, 3))] if rows else []


def drops(text: str) -> str:
    """The machine's counters of dropped connections that are not zero, from the two lines of /proc/net/netstat."""
    try:
        names, values = (line.split()[1:] for line in text.splitlines()[:2])
    except ValueError:
        return ""
    counted = dict(zip(names, values, strict=False))
    found = [f"{name} {counted[name]}" for name in _DROPPED if counted.get(name, "0") != "0"]
    return f"of the whole machine since its start: {', '.join(found)}" if found else ""


def _meaning(state: str) -> str:
    return f": {_MEANS[state]}" if state in _MEANS else ""


def _peer(socket: Socket, serves: Collection[str]) -> str:
    """The peer; without its port, which is another for each connection, where it is a client of ours."""
    return socket.peer.rpartition(":")[0] if _port(socket.local) in serves else socket.peer


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _end(address: str, port: str) -> str:
    """An address as the kernel prints it: words of four bytes in the machine's order, which is little-endian."""
    raw = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
    found = ipaddress.ip_address(raw)
    mapped = getattr(found, "ipv4_mapped", None)
    shown = str(mapped or found)
    return f"[{shown}]:{int(port, 16)}" if ":" in shown else f"{shown}:{int(port, 16)}"
