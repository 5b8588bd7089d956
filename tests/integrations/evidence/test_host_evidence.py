"""Evidence of a host, from outputs that were captured on real ones."""

from datetime import UTC, datetime, timedelta

import pytest
from recorded_evidence import NOW, Captured, gathered

from paramedic.errors import PermanentError
from paramedic.integrations.evidence import disk, host_memory, kernel_log, top_processes
from paramedic.kinds import host_changes
from paramedic.kinds.transport import ProcessRow

MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 22 254:16 / /var/lib/my\\040data rw - xfs /dev/vdb rw
26 22 254:0 /srv/bound /mnt/bound rw - ext4 /dev/vda rw
27 22 0:40 / /mnt/media rw - nfs4 nas:/media rw,hard
28 22 0:41 / /mnt/bucket rw - fuse.gcsfuse bucket rw
29 22 0:23 / /dev/shm rw - tmpfs tmpfs rw
30 29 0:42 / /dev/shm rw - tmpfs tmpfs rw
31 22 0:43 / /snap/core rw - squashfs /dev/loop0 ro
32 22 0:44 / /net rw - autofs systemd-1 rw
"""

ROOMY = {"0": "4096 1000000 700000 650000 65536 60000", "1": "4096 100 100 100 0 0", "2": "4096 1000 900 900 1000 10"}


def test_a_file_system_whose_server_may_be_dead_is_never_asked() -> None:
    machine = Captured({"": MOUNTINFO}, {"0": ROOMY["0"]})
    seen = gathered("disk", machine)
    assert list(machine.asked[1]) == ["/", "/dev/shm", "/var/lib/my data"]
    assert [line.partition(":")[0] for line in seen.unseen[:3]] == ["/mnt/bucket", "/mnt/media", "/net"]
    assert seen.unseen[3:] == ["/dev/shm: did not say how full it is", "/var/lib/my data: did not say how full it is"]
    assert seen.unseen[1].endswith("a dead server would hang the question; `df /mnt/media`")


def test_the_root_is_asked_whatever_it_is() -> None:
    machine = Captured({"": "22 1 0:9 / / rw - virtiofs root rw\n"}, {"0": "4096 100 90 90 0 0"})
    assert "no limit" in gathered("disk", machine).text
    assert list(machine.asked[1]) == ["/"]


def test_what_is_roomy_is_not_walked() -> None:
    machine = Captured({"": MOUNTINFO}, {**ROOMY, "2": ROOMY["0"]})
    assert "none is above 80 %: the largest directories were not looked for" in gathered("disk", machine).text
    assert len(machine.asked) == 2


OPEN = {"deleted": "64784 3221225472 /proc/811/fd/7\n64784 10 /proc/9/fd/1\n99 5 /proc/1/fd/1\n", "0": "64784"}
WALKED = {"walked": "9999999999999999 ended 0\n900\t/var/lib/my data\n800\t/var/lib/my data/x y\n"}


def test_a_full_disk_is_walked_by_what_it_lacks() -> None:
    machine = Captured({"": MOUNTINFO}, ROOMY, OPEN, WALKED)
    seen = gathered("disk", machine)
    assert list(machine.asked[2]) == ["/var/lib/my data"]
    assert list(machine.asked[3])[:1] == ["/var/lib/my data"]
    assert list(machine.asked[3])[2] == "--inodes", "99 % of its inodes are used, and 10 % of its bytes"
    assert "800 files  /var/lib/my data/x y" in seen.text
    assert "3,221.2 MB  of /var/lib/my data: process 811, its descriptor 7" in seen.text
    assert "process 1," not in seen.text, "that is on another disk"
    seen = gathered("disk", Captured({"": MOUNTINFO}, {"0": "4096 1000 100 50 65536 60000"}, OPEN, WALKED))
    assert "/var/lib/my data/x y" in seen.text
    assert "0.8 MB" in seen.text


def test_each_that_is_full_is_walked_and_one_that_lacks_both_by_both() -> None:
    both = "4096 1000 100 50 1000 10"
    machine = Captured({"": MOUNTINFO}, {"0": both, "2": both}, OPEN, *[WALKED] * 4)
    seen = gathered("disk", machine)
    walked = {(asked[0], asked[2]) for asked in machine.asked[3:]}
    assert walked == {(point, by) for point in ("/", "/var/lib/my data") for by in ("-k", "--inodes")}
    assert not any("not walked" in why for why in seen.unseen)
    shares = [float(asked[1]) for asked in machine.asked[3:]]
    assert shares[0] < 1.0, "each has its share of the five seconds"


def test_what_is_full_beyond_the_walks_is_named() -> None:
    third = f"{MOUNTINFO}33 22 254:32 / /srv rw - ext4 /dev/vdc rw\n"
    full = "4096 1000 100 50 1000 10"
    seen = gathered("disk", Captured({"": third}, {"0": full, "1": full, "2": full, "3": full}, OPEN, *[WALKED] * 4))
    beyond = [why for why in seen.unseen if "is full, too, and was not walked: `du " in why]
    assert len(beyond) >= 2


@pytest.mark.parametrize("ended", ["124", "137", ""])
def test_a_walk_that_is_cut_off_says_so_and_keeps_what_it_had(ended: str) -> None:
    cut = {**WALKED, "walked": WALKED["walked"].replace("ended 0", f"ended {ended}")}
    seen = gathered("disk", Captured({"": MOUNTINFO}, ROOMY, OPEN, cut))
    assert "800 files" in seen.text
    assert any("not all of /var/lib/my data was walked in time" in line for line in seen.unseen)


def test_folders_that_may_not_be_read_are_said_with_the_right() -> None:
    denied = "du: cannot read directory '/var/lib/my data/lost+found': Permission denied"
    seen = gathered("disk", Captured({"": MOUNTINFO}, ROOMY, OPEN, WALKED, errors=denied))
    assert "directories of /var/lib/my data that this user may not read; needs CAP_DAC_READ_SEARCH" in seen.unseen
    assert any(line.startswith("deleted files that others hold open; needs CAP_SYS_PTRACE") for line in seen.unseen)


def test_mounts_over_mounts_and_strange_lines() -> None:
    assert [mount.device for mount in disk.mounts(MOUNTINFO) if mount.point == "/dev/shm"] == ["0:42"]
    assert disk.mounts("no such line\n\n - \n") == []
    assert disk.read(disk.Mount("1:1", "/", "ext4"), "") is None
    assert disk.read(disk.Mount("1:1", "/", "ext4"), "4096 0 0 0 0 0") is None


MEMINFO = """\
MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:     400000 kB
Buffers:           10000 kB
Cached:           500000 kB
AnonPages:       7000000 kB
Shmem:            200000 kB
Slab:              60000 kB
SReclaimable:      40000 kB
SUnreclaim:        20000 kB
KernelStack:        5000 kB
PageTables:        30000 kB
Percpu:             1000 kB
Hugetlb:               0 kB
oom_kill 3
pswpout 500
"""

SWAPS = "Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vdc                                partition\t2097148\t1048574\t-2\n"


def test_what_of_the_host_s_memory_grew_is_told() -> None:
    grown = (
        MEMINFO.replace("7000000", "7020000").replace("pswpout 500", "pswpout 620").replace("oom_kill 3", "oom_kill 4")
    )
    machine = Captured({"before": MEMINFO, "after": grown, "swaps": SWAPS, "pressure": "some avg10=9.00"})
    seen = gathered("host_memory", machine)
    assert seen.text.startswith("409.6 MB available of 8,192.0 MB (5%)\n")
    [heap] = [line for line in seen.text.splitlines() if line.startswith("programs' own")]
    assert heap.split()[-4:] == ["MB", "88%", "+20.5", "MB"]
    [cache] = [line for line in seen.text.splitlines() if line.startswith("cache")]
    assert "358.4 MB" in cache, "shared memory is no cache, though the kernel counts it there"
    assert "killed by the kernel for want of memory: 4 since the boot, 1 in 0.5 s" in seen.text
    assert "pages written to swap: 620 since the boot, 120 in 0.5 s" in seen.text
    assert "/dev/vdc  partition  2,147.5 MB  1,073.7 MB" in seen.text
    assert seen.unseen == []


def test_an_old_kernel_tells_what_it_has() -> None:
    old = "\n".join(
        line for line in MEMINFO.splitlines() if not line.startswith(("MemAvailable", "Percpu", "oom_kill"))
    )
    seen = gathered("host_memory", Captured({"before": old, "swaps": SWAPS.splitlines()[0]}, late=True))
    assert "102.4 MB available" in seen.text
    assert "no swap" in seen.text
    assert "needs CONFIG_PSI and psi=1" in seen.unseen[0]
    with pytest.raises(PermanentError, match="no /proc of Linux"):
        gathered("host_memory", Captured({"before": "cat: /proc/meminfo: No such file"}))


# Debian 12, a limit of systemd; Ubuntu 22.04, the whole machine; CentOS 7.
DMESG = """\
[  100.500000] EXT4-fs error (device vdb): ext4_find_entry:1683: inode #2: comm ls: reading directory lblock 0
[86500.111111] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/\
shop.service,task_memcg=/system.slice/shop.service,task=python3,pid=2953,uid=999
[86500.111112] Memory cgroup out of memory: Killed process 2953 (python3) total-vm:8142876kB, anon-rss:6719676kB, file-rss:4kB
[86600.000000] Out of memory: Kill process 77 (my (odd) name) score 900 or sacrifice child
[86700.000000] INFO: task postgres:812 blocked for more than 120 seconds.
[86800.000000] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),global_oom,task_memcg=/docker/e9d9,task=java,pid=12,uid=0
"""


def test_whom_the_kernel_killed_comes_first_and_once() -> None:
    seen = gathered("kernel_log", Captured({"uptime": "87000.00 1.0", "dmesg": DMESG}))
    lines = seen.text.splitlines()
    assert lines[0] == "killed for want of memory, the newest first: 3"
    assert lines[1].endswith("process 12 (java) (the whole machine had no more)")
    assert lines[2].endswith("process 77 (my (odd)) name) score 900 or sacrifice child") or "process 77" in lines[2]
    assert lines[3] == (
        "2026-01-31 11:51:40Z  process 2953 (python3) total-vm:8142876kB, anon-rss:6719676kB, file-rss:4kB "
        "(the limit of /system.slice/shop.service was reached)"
    )
    assert lines[5] == "lines, the newest first: 5"
    assert "EXT4-fs error" not in seen.text, "that was more than a day ago"
    assert seen.unseen == []


def test_a_kernel_log_that_is_not_for_this_user_says_what_would_show_it() -> None:
    refused = {"uptime": "87000 1", "refused": "dmesg: read kernel buffer failed: Operation not permitted"}
    seen = gathered(
        "kernel_log", Captured(refused, errors="No journal files were opened due to insufficient permissions.")
    )
    assert seen.text == "nothing that is worth a look in the last day"
    right = "needs CAP_SYSLOG or root (kernel.dmesg_restrict), or the group systemd-journal"
    assert seen.unseen == [f"dmesg: read kernel buffer failed: Operation not permitted; {right}"]
    journal = f"{NOW.timestamp() - 60:.6f} web-7 kernel: Out of memory: Killed process 5 (x) total-vm:1kB"
    seen = gathered("kernel_log", Captured({**refused, "journal": journal}))
    assert seen.text.splitlines()[1] == "2026-01-31 11:59:00Z  process 5 (x) total-vm:1kB"
    assert seen.unseen == []


def test_lines_without_a_time_are_kept() -> None:
    [line] = kernel_log.read("Out of memory: Killed process 5 (x)", NOW)
    assert line.at is None
    assert "process 5 (x)" in kernel_log.told([line])


DPKG = """\
2026-01-31 12:30:00 startup archives unpack
2026-01-31 12:30:01 upgrade libssl3:amd64 3.0.15-1 3.0.16-1
2026-01-31 12:30:02 status installed libssl3:amd64 3.0.16-1
2026-01-29 12:30:02 install old:amd64 <none> 1.0
"""


def test_what_changed_is_told_in_the_host_s_own_zone_beside_the_breach() -> None:
    stamp = NOW.timestamp()
    parts = {
        "clock": f"{stamp:.0f} +0100\n7200.5",
        "dpkg": DPKG,
        "has": "/usr/bin/dpkg",
        "units": f"{stamp - 60:.5f} /etc/systemd/system/a b.service",
        "files": f"{stamp - 90_000:.5f} /etc/old\n{stamp - 100:.5f} /etc/new.conf",
        "counted": "2",
    }
    seen = gathered("recent_changes", Captured(parts))
    assert [line.partition("Z  ")[2] for line in seen.text.splitlines()] == [
        "--- what is wrong began; the changes before it are below ---",
        "unit file /etc/systemd/system/a b.service",
        "file /etc/new.conf",
        "package libssl3:amd64: upgrade 3.0.15-1 to 3.0.16-1",
        "the host started",
    ]
    assert "2026-01-31 11:30:01Z  package libssl3" in seen.text
    assert seen.unseen == ["releases: services.yaml names no `releases` for web-7/app.service"]


def test_packages_of_rpm_and_of_managers_without_times() -> None:
    [change] = host_changes.rpm(f"{NOW.timestamp():.0f} openssl 3.0.7-27.el9\n")
    assert (change.at, change.what) == (NOW, "package openssl 3.0.7-27.el9: installed")
    seen = gathered("recent_changes", Captured({"clock": "1 +0000\n1", "has": "/sbin/apk"}))
    assert seen.text == "nothing changed in the last day"
    assert any(line.startswith("packages: apk on the host, which keeps no times") for line in seen.unseen)
    denied = "grep: /etc/x: Permission denied\ntail: cannot open '/var/log/dpkg.log' for reading: Permission denied"
    seen = gathered("recent_changes", Captured({"clock": "x", "has": "/usr/bin/dpkg"}, errors=denied, late=False))
    assert "packages: /var/log/dpkg.log may not be read; needs the group adm or root" in seen.unseen
    assert (
        "some folders of /etc or of its configuration may not be read; needs CAP_DAC_READ_SEARCH or root" in seen.unseen
    )
    assert "when the host started: it has no /proc/uptime" in seen.unseen


def test_what_is_cut_at_the_time_out_says_so() -> None:
    seen = gathered("recent_changes", Captured({"clock": "1 +0000\n1", "has": "/usr/bin/dpkg"}, late=True))
    assert any("not all of it was looked at in time" in line for line in seen.unseen)


def row(pid: int, **more: object) -> ProcessRow:
    fields = {"ppid": 1, "name": "x", "cmdline": f"x --n {pid}", "rss": 0, "cpu_percent": 0.0, "started_at": 0.0}
    return ProcessRow(pid, **{**fields, "status": "sleeping", **more})  # type: ignore[arg-type]


def test_the_busiest_the_largest_and_those_that_wait_for_a_disk() -> None:
    rows = [row(n) for n in range(1, 90)]
    rows += [
        row(500, cpu_percent=97.0),
        row(501, rss=9_000_000_000),
        row(502, status="disk-sleep", cmdline="", name="nfsd"),
    ]
    seen = gathered("top_processes", Captured({"load": "8.00 4.00 2.00 9/92 1", "cores": "2"}, rows=rows))
    by_cpu, by_memory = seen.text.partition("by resident memory")[::2]
    assert "97.0" in by_cpu
    assert by_cpu.count("x --n") == 1, "what does nothing is not listed"
    assert by_memory.split("\n")[2].split()[3] == "9,000.0"
    assert seen.text.endswith("disk-sleep  [nfsd]")
    assert seen.text.startswith("load 8.00 4.00 2.00 9/92 1; cores 2")
    assert seen.unseen == ()


def test_a_proc_that_hides_others_processes_says_so() -> None:
    assert "hidepid" in top_processes.unseen([row(700)])[0]


def test_moments_are_read_in_utc() -> None:
    assert next(iter(kernel_log.read("[    1.5] x", NOW))).at == NOW + timedelta(seconds=1.5)
    assert host_changes.zone("-0330") == -timedelta(hours=3, minutes=30)
    assert next(iter(host_changes.dpkg(DPKG, timedelta()))).at == datetime(2026, 1, 31, 12, 30, 1, tzinfo=UTC)
    assert host_memory.fields("Active(anon):  4 kB\nx 3\n") == {"Active(anon)": 4096, "x": 3}
