"""A machine by SSH runs and tells what this machine does, in the same words: programs, connections, processes."""

import getpass
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest
from waiting import soon, until

from paramedic.errors import PermanentError
from paramedic.kinds.transport import OutOfTime, TcpPort, Transport, UnixSocket
from paramedic.machine.clock import boottime
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

KEPT = 16_384


def test_a_program_says_how_it_ended_and_what_it_said(there: Transport) -> None:
    ended = there.run(["sh", "-c", "echo out; echo err >&2; exit 3"], soon())
    assert (ended.code, ended.output, ended.errors) == (3, "out\n", "err\n")


def test_words_are_arguments_and_no_shell_reads_them(there: Transport, tmp_path: Path) -> None:
    hostile = ["$(touch x)", "; touch x", "`touch x`", "*", "\n", "-n", "{instance}", "'", '"', "\\", "é\x80", ""]
    script = f"import os, sys; os.chdir({str(tmp_path)!r}); print(ascii(sys.argv[1:]))"
    assert there.run([sys.executable, "-c", script, *hostile], soon()).output == f"{hostile!a}\n"
    with there.command([sys.executable, "-c", script, *hostile]) as program:
        program.start()
        assert program.end(soon()).output == f"{hostile!a}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_program_has_path_and_what_it_is_given_and_reads_nothing(there: Transport, tmp_path: Path) -> None:
    see = "import os, sys; print(sorted(set(os.environ) - {'PWD', 'LC_CTYPE'}), os.getcwd(), repr(sys.stdin.read()))"
    with there.command([sys.executable, "-c", see], cwd=str(tmp_path), environment={"TOKEN": "a'b c"}) as program:
        program.start()
        assert program.end(soon()).output == f"['PATH', 'TOKEN'] {tmp_path} ''\n"
    assert there.run([sys.executable, "-c", see], soon()).output.startswith("['PATH'] ")


def test_a_given_value_is_seen_by_nobody_else_there(there: Transport) -> None:
    with there.command(
        ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], environment={"TOKEN": "s3cr" + "et-x9"}
    ) as one:
        one.start()
        assert "s3cret-x9" not in one.end(soon()).output


def test_only_the_end_of_what_it_says_is_kept(there: Transport) -> None:
    count = "i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo line $i; done"
    with there.command(["sh", "-c", count]) as program:
        program.start()
        for said in (there.run(["sh", "-c", count], soon()).output, program.end(soon()).output):
            assert len(said) <= KEPT
            assert said.endswith("line 9000\n")


def test_what_would_move_a_terminal_is_visible(there: Transport) -> None:
    assert there.run(["printf", "\\033[31mred\\377"], soon()).output == "\\x1b[31mred\\xff"


def test_a_program_that_is_not_there_is_useless_to_try(there: Transport, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with pytest.raises(PermanentError, match="no program"):
        there.command(["no-such-program"])
    with pytest.raises(PermanentError, match="no program"):
        there.command([str(tmp_path / "text")])
    with pytest.raises(PermanentError, match="no program"):
        there.run(["no-such-program"], soon())
    with pytest.raises(PermanentError, match="no folder /no/such/folder"):
        there.command(["true"], cwd="/no/such/folder")


def test_at_its_deadline_a_change_is_ended_with_its_group(there: Transport, tmp_path: Path) -> None:
    forks = f"sleep 300 & echo $! > {tmp_path}/child; echo before; trap '' TERM; wait; sleep 300"
    with there.command(["sh", "-c", forks]) as program:
        program.start()
        with pytest.raises(OutOfTime) as late:
            program.end(soon(1.5))
    assert "before" in late.value.output
    child = int((tmp_path / "child").read_text())
    until("its child is gone", lambda: not alive(child), 20)


def test_at_its_deadline_a_look_is_over(there: Transport, tmp_path: Path) -> None:
    began = boottime()
    with pytest.raises(OutOfTime):
        there.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 300"], soon(0.7))
    assert boottime() - began < 5
    pid = int((tmp_path / "pid").read_text())
    until("it was ended", lambda: not alive(pid), 20)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]


def test_the_machine_itself_ends_what_is_left_alone(there: Transport) -> None:
    with there.command(["sleep", "300"], killed_after=timedelta(seconds=1)) as program:
        program.start()
        assert program.end(soon()).code in (137, -signal.SIGKILL)


def test_what_it_leaves_in_the_background_is_not_waited_for(there: Transport, tmp_path: Path) -> None:
    leaves = f"sleep 60 & echo $! > {tmp_path}/left; echo done"
    began = boottime()
    with there.command(["sh", "-c", leaves]) as program:
        program.start()
        assert program.end(soon()).output == "done\n"
    assert boottime() - began < 15
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def answering(listener: socket.socket, seen: list[bytes]) -> None:
    client, _ = listener.accept()
    with client:
        seen.append(client.recv(100))
        client.sendall(b"answer to " + seen[-1])


@pytest.mark.parametrize("outlives", [False, True])
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_connection_carries_bytes_both_ways(there: Transport, tmp_path: Path, kind: str, outlives: bool) -> None:
    seen: list[bytes] = []
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        to: UnixSocket | TcpPort = UnixSocket(str(tmp_path / "s"))
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        to = TcpPort("127.0.0.1", listener.getsockname()[1])
    with listener:
        threading.Thread(target=answering, args=(listener, seen), daemon=True).start()
        with there.connect(to, soon(), outlives_us=outlives) as line:
            if outlives:
                line.outlive_us()
            line.send(b"a question", soon())
            said = b""
            while more := line.receive(soon()):
                said += more
    assert (seen, said) == ([b"a question"], b"answer to a question")


@pytest.mark.parametrize("outlives", [False, True])
def test_what_nobody_listens_at_is_told_by_the_kind_of_error(there: Transport, tmp_path: Path, outlives: bool) -> None:
    with pytest.raises(OSError):
        there.connect(UnixSocket(str(tmp_path / "none")), soon(), outlives_us=outlives)
    with pytest.raises(OSError):
        there.connect(TcpPort("127.0.0.1", 1), soon(), outlives_us=outlives)
    with pytest.raises((ValueError, OSError)):
        there.connect(UnixSocket("a\0b"), soon(), outlives_us=outlives)


def test_a_silent_other_side_is_told_at_the_deadline(there: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = TcpPort("127.0.0.1", listener.getsockname()[1])
        with there.connect(to, soon()) as line, pytest.raises(TimeoutError):
            line.receive(soon(0.2))


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    grows = "held = bytearray(30_000_000)\nimport sys, time\nprint(flush=True)\ntime.sleep(60)"
    forks = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {grows!r}])\n"
    forks += "print(child.pid, flush=True)\nchild.wait()"
    words = [sys.executable, "-c", forks, "a\x1b[2Jb\n" + "x" * 2000]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lines = [parent.stdout.readline().strip() for _ in range(2)]
    child = int(max(lines, key=len))
    yield parent.pid, child
    os.kill(child, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()


def test_a_process_is_told_by_the_kernel(there: Transport, family: tuple[int, int]) -> None:
    parent, child = family
    assert 30_000_000 < there.processes.memory(child) < 100_000_000
    rows = there.processes.tree(parent)
    assert [(row.pid, row.ppid) for row in rows] == [(parent, os.getpid()), (child, parent)]
    assert "a\\x1b[2Jb" in rows[0].cmdline
    assert len(rows[0].cmdline) == 500
    assert abs(rows[0].started_at - time.time()) < 120
    row = there.processes.row(child)
    assert row is not None
    assert there.processes.alive(child, row.started_at)
    assert not there.processes.alive(child, row.started_at - 60)
    local = Local().processes.row(child)
    assert local is not None
    assert (row.name, row.cmdline, row.status, row.ppid) == (local.name, local.cmdline, local.status, local.ppid)
    assert abs(row.started_at - local.started_at) < 0.5


def test_what_the_kernel_says_of_a_process_is_told_exactly(there: Transport, tmp_path: Path) -> None:
    strange = tmp_path / "a) S 1\nb"
    strange.write_bytes(Path(which("sleep") or "").read_bytes())
    strange.chmod(0o755)
    with subprocess.Popen(["x - y\n", "300"], executable=strange) as process:
        try:
            until("it runs", lambda: (found := Local().processes.facts(process.pid)) and "300" in found.arguments, 10)
            found, here = there.processes.facts(process.pid), Local().processes.facts(process.pid)
            assert found == here
            assert found is not None
            assert (found.arguments, found.user, found.ended) == (("x - y\n", "300"), getpass.getuser(), False)
            assert found.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            assert there.processes.alive(process.pid, found.started_at)
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert (dead := there.processes.facts(process.pid)) is not None
            assert (dead.ended, dead.began) == (True, found.began)
        finally:
            process.kill()
    assert there.processes.facts(process.pid) is None


def test_the_use_of_a_process_is_that_of_now(there: Transport) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        use = there.processes.use(busy.pid)
        busy.kill()
    assert 1 < use.cpu_percent < 150
    assert 0 < use.memory_percent < 50


def test_a_process_that_is_gone_is_told(there: Transport) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert there.processes.row(ended.pid) is None
    assert not there.processes.alive(ended.pid, time.time())
    for look in (there.processes.memory, there.processes.use, there.processes.tree):
        with pytest.raises(PermanentError, match="gone"):
            look(ended.pid)
