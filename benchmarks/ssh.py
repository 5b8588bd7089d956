"""What SSH costs: a command by a warm connection beside the bare one, and evidence of 200 hosts at once. `make bench-ssh`.

Its server is a real OpenSSH server on all of loopback's addresses: each address is a host of its own to us. What the server
and the programs that it starts take of the two cores is in the figures.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ssh_servers import Sshd, running

COMMAND = ("env", "LC_ALL=C", "true")

#: What is reached: milliseconds more than the bare command, seconds for the evidence, MB of memory of our process.
MORE_MS, EVIDENCE_SECONDS, MEMORY_MB = 10.0, 15.0, 300.0


def main() -> None:
    """Measure and print; exit code 1 where a figure is not reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200, help="commands")
    parser.add_argument("--hosts", type=int, default=200, help="hosts, at most 250")
    parser.add_argument("--at-once", type=int, default=32, help="threads")
    asked = parser.parse_args()
    with running(_here, address="0.0.0.0") as server:  # noqa: S104 - all of loopback's addresses
        server.known_hosts.write_text(f"* {server.public}\n")
        more = _commands(server, asked.n)
        seconds, memory = _evidence(server, asked.hosts, asked.at_once)
    reached = more <= MORE_MS and seconds <= EVIDENCE_SECONDS and memory <= MEMORY_MB
    print("reached" if reached else f"not reached: {MORE_MS} ms, {EVIDENCE_SECONDS} s, {MEMORY_MB} MB")
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


def _evidence(server: Sshd, count: int, at_once: int) -> tuple[float, float]:
    """Print how long three pieces of evidence of each host take, all together, and the bare programs beside them."""
    hosts = [server.host(f"web-{n}", address=f"127.0.1.{n}") for n in range(1, count + 1)]
    log = server.folder / "app.log"
    log.write_text("".join(f"2026-01-31T09:30:00Z request {n}\n" for n in range(5000)))

    def look(host: Host) -> None:
        there = Ssh(host)
        there.run(["env", "LC_ALL=C", "cat", "/proc/loadavg"], boottime() + 30)
        there.tail(str(log))
        there.processes.use(server.process.pid)

    def bare(_: Host) -> None:
        for words in (
            ["cat", "/proc/loadavg"],
            ["tail", "-n", "100", str(log)],
            ["sh", "-c", "sleep 0.5; cat /proc/1/stat"],
        ):
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    with ThreadPoolExecutor(at_once) as threads:
        cold = _timed(threads, lambda host: Ssh(host).run(["true"], boottime() + 30), hosts)
        warm = _timed(threads, look, hosts)
        base = _timed(threads, bare, hosts)
    memory = psutil.Process().memory_info().rss / 1e6
    print(
        f"{count} hosts, {at_once} at once: connecting to all {cold:.1f} s; three pieces of evidence of each {warm:.1f} s"
    )
    print(f"the same programs bare {base:.1f} s; our process holds {memory:.0f} MB")
    return warm, memory


def _timed(threads: ThreadPoolExecutor, look: Callable[[Host], object], hosts: list[Host]) -> float:
    began = time.perf_counter()
    list(threads.map(look, hosts))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
