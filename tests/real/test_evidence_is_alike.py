"""Every kind of evidence sees the same of a real process and its host here and by SSH: one script, two ways."""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from required import missing
from ssh_servers import Sshd, running

from paramedic.change.gathering import Look, gather
from paramedic.errors import PermanentError
from paramedic.kinds import plugin_folder, registry
from paramedic.kinds.evidence import Scene, word
from paramedic.kinds.registry import Room
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

#: A kind of target that is the process of a pid.
HELD = """
from paramedic.remediation.target import Identity
Words = int
LABEL = "held"
REMEDIES = ()
EVIDENCE = {}
def name_of(words): return str(words)
def address_of(words): return str(words)
def running(identity): return True
def restarted(before, now): return False
def process_id(target, identity, transport): return int(target.address)
class Reader:
    def __init__(self, target, transport): pass
    def identity(self): return Identity("up")
class Changer: pass
"""

#: A process that holds forty times one file, a deleted one, six threads, and three connections that it does not accept.
HOLDS = """
import os, socket, sys, threading, time
kept = [open(sys.argv[1]) for _ in range(40)]
gone = open(sys.argv[1] + "-gone", "w"); gone.write("x" * 5_000_000); gone.flush(); os.unlink(gone.name)
listener = socket.create_server(("127.0.0.1", 0))
calls = [socket.create_connection(listener.getsockname()) for _ in range(3)]
[threading.Thread(target=time.sleep, args=(300,), daemon=True).start() for _ in range(5)]
heap = bytearray(40_000_000)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""

#: What each kind shows of it, or of its host.
SHOWN = {
    "disk": ("mounted at", "/"),
    "http-timing": ("no connection", "connect"),
    "host-memory": ("available of", "programs' own", "killed by the kernel"),
    "log-patterns": ("2 lines of 2 patterns", "what was in its log"),
    "memory-map": ("process {pid} holds", "heap and stacks", "[anonymous]"),
    "open-files": ("process {pid} has 4", "   40  {file}", "    1  {file}-gone (deleted)"),
    "recent-changes": ("Z  configuration {folder}/conf.d/app.conf\n",),
    "sockets": ("process {pid} has 4 sockets, of which 4 are of TCP and UDP", "127.0.0.1:{port}                 3"),
    "threads": ("process {pid} has 6 threads", "6 python"),
    "top-processes": ("load ", "by resident memory", "by CPU"),
}


#: What needs a machine prepared for it: a test of its own.
ELSEWHERE = ("python-stacks", "kernel-log")


@dataclass
class Held:
    pid: int
    port: str
    file: str

    @property
    def folder(self) -> Path:
        return Path(self.file).parent


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("held")
    (folder / "targets").mkdir(mode=0o755)
    (folder / "targets" / "held.py").write_text(HELD)
    file = folder / "some file"
    file.write_text("what was in its log\nand this\n")
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "app.conf").write_text("password = hunter2-of-the-test\n")
    plugin_folder.use(folder)
    words = [sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Held(process.pid, process.stdout.readline().strip(), str(file))
        process.kill()
    plugin_folder.use(None)


@pytest.fixture(params=["local", "ssh"])
def machine(request: pytest.FixtureRequest) -> Host:
    if request.param == "local":
        return Host("web-7")
    server: Sshd = request.getfixturevalue("sshd")
    return server.host()


def looks(held: Held, machine: Host, *kinds: str) -> dict[str, Look]:
    at = Target(
        "web-7/held:x",
        "x",
        "web-7",
        "held",
        "x",
        str(held.pid),
        "http://127.0.0.1:1/",
        held.file,
        machine=machine,
        configuration=(f"{held.folder}/conf.d",) if held.file else (),
    )
    seen = gather(at, kinds, since=utc_now(), patience=timedelta(seconds=30))  # a busy machine; the default is 5
    return {look.kind: look for look in seen}


def test_every_kind_shows_what_is_there(held: Held, machine: Host) -> None:
    assert {*SHOWN, *ELSEWHERE} == {word(name) for name in registry.current().names(Room.EVIDENCE)}
    seen = looks(held, machine, *SHOWN)
    for kind, parts in SHOWN.items():
        piece = seen[kind].piece
        assert piece is not None, f"{kind}: {seen[kind].fault}"
        for part in parts:
            shown = part.format(pid=held.pid, port=held.port, file=held.file, folder=held.folder)
            assert shown in f"{piece.body}\n", f"{kind}:\n{piece.body}"


def test_python_stacks_are_shown_where_py_spy_is(
    held: Held, sshd: Sshd, require: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{Path(require('py-spy')).parent}:{os.environ['PATH']}"
    without = looks(held, sshd.host(), "python-stacks")["python-stacks"]  # with the server's own PATH
    assert without.fault.startswith("py-spy is not installed on web-7; ")
    monkeypatch.setenv("PATH", path)
    with running(require, more=f"SetEnv PATH={path}\n") as server:
        for machine in (Host("web-7"), server.host()):
            look = looks(held, machine, "python-stacks")["python-stacks"]
            if look.fault.startswith("not permitted"):
                missing("this user may not look into another process")
            assert look.piece is not None, look.fault
            assert f"Process {held.pid}" in look.piece.body
            assert '"MainThread"' in look.piece.body
            assert "<module> (<string>:" in look.piece.body, "where it waits"


@pytest.mark.usefixtures("as_root")
def test_what_the_kernel_writes_is_shown(held: Held, machine: Host) -> None:
    line = f"paramedic-test {secrets.token_hex(8)}: link is down"
    try:
        Path("/dev/kmsg").write_text(f"<6>{line}\n", encoding="ascii")
    except OSError as error:
        missing(f"no line can be written into the kernel's log: {error}")
    seen = looks(held, machine, "kernel-log")["kernel-log"].piece
    assert seen is not None
    [row] = [row for row in seen.body.splitlines() if line in row]
    written = datetime.fromisoformat(row.partition("  ")[0])
    assert abs((utc_now() - written).total_seconds()) < 120, "its time is that of the line"


@pytest.mark.usefixtures("as_root")
def test_two_full_file_systems_are_both_walked_by_what_each_lacks(
    held: Held, machine: Host, require: Callable[[str], str], tmp_path: Path
) -> None:
    for name, size in (("by bytes", "size=4m"), ("by inodes", "size=4m,nr_inodes=60")):
        (tmp_path / name).mkdir()
        subprocess.run([require("mount"), "-t", "tmpfs", "-o", size, "tmpfs", tmp_path / name], check=True)
    try:
        (tmp_path / "by bytes" / "large").mkdir()
        (tmp_path / "by bytes" / "large" / "file").write_bytes(b"x" * 3_900_000)
        (tmp_path / "by inodes" / "many").mkdir()
        for number in range(55):
            (tmp_path / "by inodes" / "many" / str(number)).touch()
        if machine.ssh is not None:  # a server sees what was mounted before it began
            with running(require) as server:
                seen = looks(held, server.host(), "disk")["disk"].piece
        else:
            seen = looks(held, machine, "disk")["disk"].piece
    finally:
        for name in ("by bytes", "by inodes"):
            subprocess.run(["umount", tmp_path / name], check=True)
    assert seen is not None
    assert f"directories of {tmp_path}/by bytes with most bytes" in seen.body
    assert re.search(rf"3\.9 MB  {tmp_path}/by bytes/large$", seen.body, re.MULTILINE), seen.body
    assert f"directories of {tmp_path}/by inodes with most files" in seen.body
    assert re.search(rf" 56 files  {tmp_path}/by inodes/many$", seen.body, re.MULTILINE), seen.body


def test_both_ways_show_the_same(held: Held, sshd: Sshd) -> None:
    kinds = ("open-files", "threads", "sockets")
    here, there = (looks(held, machine, *kinds) for machine in (Host("web-7"), sshd.host()))
    for kind in kinds:
        one, other = here[kind].piece, there[kind].piece
        assert one is not None
        assert other is not None
        assert one.body.partition("\n\nsockets: used")[0] == other.body.partition("\n\nsockets: used")[0]
        assert here[kind].unseen == there[kind].unseen


def test_a_process_that_is_gone_is_told(sshd: Sshd, held: Held) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    gone = Held(ended.pid, "", "")
    for machine in (Host("web-7"), sshd.host()):
        faults = {
            look.fault.partition(",")[0] for look in looks(gone, machine, "open-files", "threads", "sockets").values()
        }
        assert faults == {f"process {ended.pid} is gone"}


@pytest.mark.usefixtures("as_root")
def test_another_user_s_process_says_which_right_would_show_it(held: Held, require: Callable[[str], str]) -> None:
    nobody = Local(via=[require("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"])
    at = Target("web-7/held:x", "x", "web-7", "held", "x", str(held.pid), machine=Host("web-7"))

    def unseen(name: str) -> str:
        scene = Scene(at, nobody, boottime() + 30, utc_now(), utc_now(), lambda: held.pid, list, lambda *_: "")
        try:
            return "; ".join(registry.current().plugin(Room.EVIDENCE, name).gather(scene).unseen)
        except PermanentError as error:
            return str(error)

    right = "not permitted; needs CAP_SYS_PTRACE, or to be the process's own user or root"
    assert {name: unseen(name) for name in ("open_files", "sockets", "memory_map")} == {
        "open_files": right,
        "sockets": right,
        "memory_map": f"its mappings: {right}",
    }
    assert "needs root or CAP_SYS_PTRACE" in unseen("threads")
