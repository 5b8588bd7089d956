"""Evidence of a process, from outputs that were captured on real machines."""

import pytest
from recorded_evidence import Captured, gathered

from paramedic.errors import PermanentError
from paramedic.integrations.evidence import memory_map, sockets, threads

LIMIT = "Max open files            1024                 524288               files"


def test_a_leak_of_files_shows_by_its_count() -> None:
    files = "    900 /var/log/app.log\n     60 socket\n      2 /tmp/a b (deleted)\n"
    seen = gathered("open_files", Captured({"limit": LIMIT, "counted": "1000", "files": files}))
    lines = seen.text.splitlines()
    assert lines[0] == "process 42 has 1,000 open, of at most 1024 (98%)"
    assert lines[3] == "  900  /var/log/app.log"
    assert lines[-1] == "… and 38 others"


def test_files_that_are_not_for_this_user_say_which_right_would_show_them() -> None:
    denied = "find: '/proc/42/fd': Permission denied"
    with pytest.raises(
        PermanentError, match=r"^not permitted; needs CAP_SYS_PTRACE, or to be the process's own user or root$"
    ):
        gathered("open_files", Captured({"limit": LIMIT, "counted": "0"}, errors=denied))


GONE = "grep: /proc/42/limits: No such file or directory"


@pytest.mark.parametrize("name", ["open_files", "threads", "sockets", "memory_map"])
def test_a_process_that_vanished_meanwhile_is_not_one_without_anything(name: str) -> None:
    with pytest.raises(PermanentError, match="process 42 is gone"):
        gathered(name, Captured({"counted": "0"}, errors=GONE))


def stat(number: int, name: str, state: str, used: int) -> str:
    numbers = ["1"] * 49
    numbers[10], numbers[11] = str(used), "0"
    return f"{number} ({name}) {state} {' '.join(numbers)}\n"


def test_the_busiest_thread_comes_first_and_the_waits_are_counted() -> None:
    before = "".join(stat(100 + n, f"worker-{n}", "S", 5) for n in range(40)) + stat(42, "ma) in (x", "R", 10)
    after = before.replace(stat(42, "ma) in (x", "R", 10), stat(42, "ma) in (x", "R", 40)) + stat(999, "late", "D", 1)
    waits = "".join(f"./{100 + n}/wchan:futex_wait_queue\n" for n in range(40)) + "./42/wchan:0\n"
    parts = {"tick": "100", "count": "42", "before": before, "after": after, "waits": waits}
    seen = gathered("threads", Captured(parts))
    lines = seen.text.splitlines()
    assert lines[0] == "process 42 has 42 threads: 40 sleeping, 1 running, 1 waits for a disk"
    assert "40 worker-N" in lines[1]
    assert lines[2] == "they wait in: 40 futex_wait_queue"
    assert lines[5].split() == ["42", "100", "running", "ma)", "in", "(x"]
    assert lines[6].split()[0] == "999", "one that waits for a disk comes before those that sleep"
    assert seen.unseen == []


def test_what_of_the_threads_is_hidden_is_said() -> None:
    parts = {"tick": "100", "count": "50", "before": stat(42, "x", "S", 0), "waits": "./42/wchan:0\n"}
    seen = gathered("threads", Captured(parts))
    assert "needs root or CAP_SYS_PTRACE" in seen.unseen[0]
    assert seen.unseen[1].startswith("49 threads that began or ended meanwhile")
    assert dict(threads.read("no line\n1 (x) S 1 2\n")) == {}


def line(file: str, local: str, peer: str, state: str, queues: str = "00000000:00000000") -> str:
    """As /proc/net/tcp of Linux 6.1 has it, after the name of its file, as `grep -H` has it."""
    return f"net/{file}:   0: {local} {peer} {state} {queues} 00:00000000 00000000     0        0 9001 1 0000000000000000 20\n"


V4, V6 = "0100007F", "0000000000000000FFFF00000100007F"

NET = "".join(
    (
        line("tcp", f"{V4}:1F90", "00000000:0000", "0A", "00000000:00000081"),
        line("tcp", f"{V4}:1F90", "0200000A:C001", "08"),
        line("tcp", f"{V4}:1F90", "0200000A:C002", "08", "00000000:00000007"),
        line("tcp", f"{V4}:D431", "0A00000A:1538", "02", "00000001:00000000"),
        line("tcp6", f"{V6}:1F91", "0000000000000000FFFF00000300000A:9C40", "01"),
        line("udp6", "000080FE00000000FF0052025D7A6DFE:0222", f"{'0' * 32}:0000", "07"),
    )
)


def test_what_was_never_closed_and_who_does_not_answer_is_told() -> None:
    parts = {"own": "70", "lines": NET, "machine": "sockets: used 900", "drops": ""}
    seen = gathered("sockets", Captured(parts))
    text = seen.text
    assert text.startswith(
        "process 42 has 70 sockets, of which 6 are of TCP and UDP\n       2  CLOSE_WAIT: the peer has closed"
    )
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "127.0.0.1:8080 129" in rows, "connections that it has not accepted"
    assert "10.0.0.2 CLOSE_WAIT 2" in rows, "a client's ports are not told apart"
    assert "10.0.0.10:5432 SYN_SENT 1" in rows
    assert "10.0.0.3:40000 ESTABLISHED 1" in rows, "an IPv4 address in IPv6 is shown as it is"
    assert rows.index("127.0.0.1:8080 10.0.0.2:49154 7 0") > rows.index("from to B not read by it B not acknowledged")
    [_, *_, six] = list(sockets.read(NET))
    assert (six.local, six.state) == ("[fe80::252:ff:fe6d:7a5d]:546", "UDP")


def test_sockets_that_are_not_for_this_user_say_which_right_would_show_them() -> None:
    with pytest.raises(PermanentError, match="not permitted; needs CAP_SYS_PTRACE"):
        gathered("sockets", Captured({"own": "0"}, errors="find: 'fd': Permission denied"))


def test_drops_of_the_machine_are_told_where_there_are_any() -> None:
    text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeouts\nTcpExt: 0 7 9 0"
    assert sockets.drops(text) == "of the whole machine since its start: ListenOverflows 7, ListenDrops 9"
    assert sockets.drops(text.replace(" 7 9", " 0 0")) == ""
    assert sockets.drops("") == ""


STATUS = """\
VmPeak:\t 9000000 kB
VmHWM:\t  800000 kB
VmRSS:\t  700000 kB
RssAnon:\t  600000 kB
RssFile:\t   90000 kB
RssShmem:\t   10000 kB
VmPTE:\t    2000 kB
VmSwap:\t       0 kB
Threads:\t7
"""

SMAPS = """\
55d0c0a00000-55d0c0b00000 rw-p 00000000 00:00 0                          [heap]
Rss:              500000 kB
Swap:                  0 kB
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
Rss:              100000 kB
Swap:                  8 kB
7f0000200000-7f0000300000 rw-p 00000000 00:00 0
Rss:                1000 kB
Swap:                  0 kB
7f0000400000-7f0000500000 r--p 00000000 fe:00 1234                       /usr/lib/a b.so (deleted)
Rss:                  20 kB
Swap:                  0 kB
"""

# systemd 252, cgroup v2; and Docker on CentOS 7, cgroup v1.
V2 = """\
memory.current 900000000
memory.max 1000000000
events.max 812
events.oom_kill 2
stat.inactive_file 100000000
"""
V1 = "memory.usage_in_bytes 900000000\nmemory.limit_in_bytes 1000000000\nmemory.failcnt 5\nstat.total_inactive_file 500000000"
NONE = "memory.usage_in_bytes 900000000\nmemory.limit_in_bytes 9223372036854771712\n"


def test_what_of_the_process_s_memory_grew_is_told() -> None:
    grown = STATUS.replace("600000", "610000")
    seen = gathered("memory_map", Captured({"before": STATUS, "after": grown, "cgroup": V2, "mappings": SMAPS}))
    lines = seen.text.splitlines()
    assert lines[0] == "process 42 holds 716.8 MB, at its most 819.2 MB"
    assert lines[3].split()[-4:] == ["624.6", "MB", "+10.2", "MB"]
    assert "512.0 MB   0.0 MB         1  [heap]" in seen.text
    assert "103.4 MB   0.0 MB         2  [anonymous]" in seen.text
    assert "/usr/lib/a b.so (deleted)" in seen.text
    assert seen.unseen == []


def test_files_that_can_be_dropped_are_not_counted_towards_the_limit() -> None:
    assert memory_map.cgroup(V2).splitlines() == [
        "its cgroup holds 900.0 MB, 800.0 MB without files that can be dropped at once: 80% of its limit of 1,000.0 MB",
        "2 processes of its cgroup were killed for want of memory",
        "its limit was reached 812 times",
    ]
    assert "400.0 MB without files that can be dropped at once: 40% of" in memory_map.cgroup(V1)
    assert memory_map.cgroup(NONE).endswith("no limit")
    assert memory_map.cgroup("memory.current 5\nmemory.max max").endswith("no limit")


def test_a_large_process_is_not_held_up_for_its_mappings() -> None:
    huge = STATUS.replace("700000", "9000000")
    machine = Captured({"before": huge, "after": huge, "cgroup": V2, "mappings": "left"})
    seen = gathered("memory_map", machine)
    assert list(machine.asked[0]) == ["42", "2097152"], "the host decides before it reads them: 2 GiB"
    assert "smaps of 9,216.0 MB would hold its memory lock while it is read" in seen.unseen[0]


def test_what_of_the_memory_is_hidden_is_said_with_the_right() -> None:
    seen = gathered(
        "memory_map", Captured({"before": STATUS, "after": STATUS}, errors="grep: smaps: Permission denied")
    )
    assert [line.partition(";")[0] for line in seen.unseen] == [
        "its mappings: not permitted",
        "the limit of its cgroup: /sys/fs/cgroup does not show it",
    ]
