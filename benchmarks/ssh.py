"""What SSH costs: a command by a warm connection beside the bare one, and evidence of 200 hosts. `make bench-ssh`, as root.

Its server is a real OpenSSH server on all of loopback's addresses, in front of a real systemd: each address is a host of its own
to us, with a unit that has a process, a journal and a log. What the server and the programs that it starts take of the two cores
is in the figures, and beside them stands the same evidence without SSH.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from paramedic.change.gathering import gather
from paramedic.kinds.evidence import LOG_TAIL
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ssh_servers import Sshd, running
from systemd_container import PidOne
from systemd_units import systemd

COMMAND = ("env", "LC_ALL=C", "true")

#: What is reached: milliseconds more than the bare command, seconds for the evidence, MB of memory of our process at its peak.
MORE_MS, EVIDENCE_SECONDS, MEMORY_MB = 10.0, 15.0, 300.0

#: What a unit's kind has of its own, and its log.
KINDS = ("process-tree", "memory", "journal", LOG_TAIL)

#: So many hosts at once, each with all of its kinds side by side: `paramedic host test` looks at as many.
AT_ONCE = 32

#: A kind that needs longer is missing, and counted as such.
PATIENCE = timedelta(seconds=EVIDENCE_SECONDS)

UNIT = "[Service]\nExecStart=/bin/sh -c 'i=0; while [ $$i -lt 200 ]; do echo line $$i; i=$$((i+1)); done; exec sleep infinity'\n"


def main() -> None:
    """Measure and print; exit code 1 where a figure is not reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200, help="commands")
    parser.add_argument("--hosts", type=int, default=200, help="hosts, at most 250")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="hosts at once")
    parser.add_argument("--kinds", nargs="+", default=KINDS, help="of evidence")
    parser.add_argument("--rounds", type=int, default=3, help="of evidence of all hosts: the slowest counts")
    parser.add_argument(
        "--bare", metavar="LOG", help="only evidence without SSH, on the machine that this is started on"
    )
    asked = parser.parse_args()
    if asked.bare is not None:
        here = [Target(f"{_name()}/app.service", "api", _name(), "systemd", "app.service", "", log=asked.bare)]
        print(*_gathered(here * asked.hosts, asked.kinds, asked.at_once))
        return
    if os.geteuid() != 0:
        sys.exit("only root can have a systemd of its own")
    load = os.getloadavg()[0]
    with systemd(_here) as pid_one, running(_here, address="0.0.0.0", inside=pid_one.via) as server:  # noqa: S104 - all of loopback's addresses
        server.known_hosts.write_text(f"* {server.public}\n")
        more = _commands(server, asked.n)
        targets = _targets(pid_one, server, asked.hosts)
        seconds, memory, missing = _evidence(targets, asked, pid_one)
    print(f"load before it {load:.1f}; {os.cpu_count()} cores")
    reached = more <= MORE_MS and seconds <= EVIDENCE_SECONDS and memory <= MEMORY_MB and not missing
    print("reached" if reached else f"not reached: {MORE_MS} ms, {EVIDENCE_SECONDS} s, {MEMORY_MB} MB, nothing missing")
    sys.exit(not reached)


def _here(program: str) -> str:
    from shutil import which

    found = which(program, path="/usr/sbin:/usr/local/bin:/usr/bin:/bin")
    if found is None:
        sys.exit(f"this machine has no {program}")
    return found


def _commands(server: Sshd, count: int) -> float:
    """Print the times of one command in three ways, in turn; milliseconds that SSH adds to the bare one at the median."""
    there = Ssh(server.host("web-1", address="127.0.1.1"))
    ways: dict[str, Callable[[], object]] = {
        "the bare command": lambda: subprocess.run(COMMAND, check=True, stdin=subprocess.DEVNULL, capture_output=True),
        "by a warm connection": lambda: there.run(COMMAND, boottime() + 30),
        "by the local transport": lambda: Local().run(COMMAND, boottime() + 30),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - began) * 1000)
    print(f"{'one command':30}{'median':>10}{'p95':>10}   ms, n={count}")
    for name, times in took.items():
        print(f"{name:30}{statistics.median(times):>10.1f}{sorted(times)[int(count * 0.95)]:>10.1f}")
    bare, warm, _ = (statistics.median(times) for times in took.values())
    print(f"{'more than the bare command':30}{warm - bare:>10.1f}")
    return warm - bare


def _targets(pid_one: PidOne, server: Sshd, count: int) -> list[Target]:
    """The unit, as that of each host."""
    log = pid_one.folder / "app.log"
    log.write_text("".join(f"2026-01-31T09:30:00Z request {n}\n" for n in range(5000)))
    pid_one.unit("app.service", UNIT)
    subprocess.run([*pid_one.via, "systemctl", "start", "app.service"], check=True)
    hosts = [server.host(f"web-{n}", address=f"127.0.1.{n}") for n in range(1, count + 1)]
    return [
        Target(f"{host.name}/app.service", "api", host.name, "systemd", "app.service", "", log=str(log), machine=host)
        for host in hosts
    ]


def _evidence(targets: Sequence[Target], asked: argparse.Namespace, pid_one: PidOne) -> tuple[float, float, int]:
    """Print how long evidence of all takes; seconds of the slowest round, MB at the peak, and how many pieces are missing."""
    with ThreadPoolExecutor(asked.at_once) as threads:
        began = time.perf_counter()
        list(threads.map(lambda target: Ssh(target.machine).run(["true"], boottime() + 60), targets))
        cold = time.perf_counter() - began
    used = time.process_time()
    rounds = [_gathered(targets, asked.kinds, asked.at_once) for _ in range(asked.rounds)]
    used = (time.process_time() - used) / len(rounds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    again = (
        "--bare",
        str(targets[0].log),
        "--hosts",
        str(asked.hosts),
        "--at-once",
        str(asked.at_once),
        "--kinds",
        *asked.kinds,
    )
    bare = subprocess.run(
        [*pid_one.via, sys.executable, __file__, *again], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.split()
    missing = sum(missing for _, missing in rounds)
    print(f"evidence of {len(targets)} hosts, {asked.at_once} at once: {', '.join(asked.kinds)}")
    print(f"{'connecting to all':30}{cold:>10.1f}   s")
    for seconds, lacks in rounds:
        print(
            f"{'by warm connections':30}{seconds:>10.1f}   s, {lacks} of {len(targets) * len(asked.kinds)} pieces missing"
        )
    print(f"{'  of it, our process':30}{used:>10.1f}   s of a core; the rest are sshd, and what it starts")
    print(f"{'the same without SSH':30}{float(bare[0]):>10.1f}   s, {bare[1]} missing")
    print(f"{'our process at its peak':30}{memory:>10.0f}   MB")
    return max(seconds for seconds, _ in rounds), memory, missing


def _gathered(targets: Sequence[Target], kinds: Sequence[str], at_once: int) -> tuple[float, int]:
    """How long it took, in seconds, and how many pieces are missing, the first of which is told."""
    faults: list[str] = []

    def look(target: Target) -> None:
        looks = gather(target, kinds, since=utc_now() - timedelta(hours=1), patience=PATIENCE)
        faults.extend(f"{target.id} {found.kind}: {found.fault}" for found in looks if found.piece is None)

    with ThreadPoolExecutor(at_once) as threads:
        began = time.perf_counter()
        list(threads.map(look, targets))
        took = time.perf_counter() - began
    if faults:
        print(faults[0], file=sys.stderr)
    return took, len(faults)


def _name() -> str:
    return os.uname().nodename


if __name__ == "__main__":
    main()
