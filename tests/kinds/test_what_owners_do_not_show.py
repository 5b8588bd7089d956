"""Evidence of every kind of target says what could not be seen of it, and which right or tool would have shown it."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import kubernetes_api
import pytest
from kubernetes_api import Fault
from kubernetes_nodes import WORKLOADS, filled
from lying_engine import BEFORE, answering, said

from paramedic.catalog import target_kinds
from paramedic.change.gathering import NOT_SEEN, gather, pieces
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets import blocklist, disk, postgres
from paramedic.kinds.evidence import ByDeadline, Gathered, Unseen, collected
from paramedic.kinds.registry import Registry, Room
from paramedic.kinds.transport import Ended, OutOfTime
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.target import Target
from paramedic.transports.kubernetes import Kubernetes
from paramedic.transports.local import Local

#: Where all is seen or nothing: what is missing is the fault of the whole piece.
ALL_OR_NOTHING = {
    *((kind, name) for kind in ("process", "supervisord", "systemd") for name in ("process-tree", "memory")),
    ("container", "memory"),
    *((kind, name) for kind in WORKLOADS for name in ("workload", "pods", "rollout-history")),
}


class Machine:
    """Answers each program that has these words in its arguments; an exit code stands for a failure, None for no end."""

    machine, by_sudo = "web-7", False

    def __init__(self, answers: Mapping[str, str | int | None]) -> None:
        self._answers = answers

    def leads_to(self, _host: str) -> bool:
        return True

    def run(self, arguments: Sequence[str], _deadline: float, *, kept: int = 0) -> Ended:
        words = " ".join(arguments)
        answer = next((answer for part, answer in self._answers.items() if part in words), "")
        if answer is None:
            raise OutOfTime("")
        return Ended(0, answer, "") if isinstance(answer, str) else Ended(answer, "", "Operation not permitted")


class Database:
    """A PostgreSQL whose role sees its own sessions alone."""

    def __init__(self, *, sees: bool = False, fails_at: str = "nothing") -> None:
        self._sees, self._fails_at = sees, fails_at

    def database(self, _address: str, _deadline: float) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def rows(self, statement: str, _parameters: Any = None, *, deadline: float) -> list[Mapping[str, Any]]:
        if self._fails_at in statement:
            raise TemporaryError("no answer in time")
        if "pg_postmaster_start_time" in statement:
            return [{"started_at": 1.0, "role": "watch", "sees": self._sees, "ends": True, "tracks": True}]
        if "pg_prepared_xacts" in statement:
            return [{"prepared": 0, "oldest": None}]
        if "pg_blocking_pids" in statement:
            who = {"pid": 7, "role": "etl", "application": "", "query": "UPDATE t", "since": 2.0}
            return [{**who, "blockers": [8], "lock": "ShareLock on t"}]
        return []


def of(kind: str, name: str = "shop", words: Any = None, host: str = "web-7") -> Target:
    return Target(f"{host}/{kind}:{name}", "shop", host, kind, name, "", words=words)


def own(kind: str, name: str) -> ByDeadline:
    return target_kinds.usable()[kind].EVIDENCE[name]  # type: ignore[return-value]


def on(machine: Machine | Database, target: Target, name: str) -> Gathered:
    return own(target.kind, name)(target, machine, boottime() + 5)  # type: ignore[arg-type]


def postgres_target() -> Target:
    return of("postgres", words=postgres.Words(database="shop", address="postgresql://watch@db-1"))


def disk_target() -> Target:
    clean = [{"path": f"/data/{name}", "names": ["*.gz"], "older_than": "1d"} for name in ("logs", "gone")]
    return of("disk", "/data", disk.Words.model_validate({"mount": "/data", "clean": clean}))


DISK: Mapping[str, str | int | None] = {
    "/proc/self/mountinfo": "1 0 8:1 / /data rw - ext4 /dev/sda1 rw",
    "stat -f": "4096 100 50 50",
    "realpath -e -- /data/gone": 1,
    "realpath": "/data/logs\n",
    "find /proc/": "unseen 3\n",
}


def files(answers: Mapping[str, str | int | None]) -> Gathered:
    class Found(Machine):
        def run(self, arguments: Sequence[str], deadline: float, *, kept: int = 0) -> Ended:
            if "-printf" in arguments and "/data/logs" in arguments:
                token = arguments[-1].split(" ")[0]
                return Ended(0, f"{token} 1700000000.5 1 7 40960 1 80 old.gz\n", "")
            return super().run(arguments, deadline, kept=kept)

    return on(Found({**answers, **{part: DISK[part] for part in DISK if part not in answers}}), disk_target(), "files")


def blocked() -> Gathered:
    listing = '{"nftables": [{"set": {"name": "blocked4", "handle": 1, "type": "ipv4_addr", "flags": ["timeout"]}}]}'
    words = blocklist.Words.model_validate(
        {"name": "edge", "table": "inet filter", "ipv4": "blocked4", "ipv6": "blocked6"}
    )
    return on(Machine({"blocked6": 1, "blocked4": listing}), of("blocklist", words=words), "blocked")


def container(name: str, *answers: bytes, others: bytes = b"[]") -> Gathered:
    with answering(*answers, others=others) as (target, _):
        return own("container", name)(target, Local())


def units() -> Gathered:
    return on(
        Machine({"list-units": "one.service failed", "list-jobs": 1, "uptime": "2026-01-31 09:00:00"}),
        of("machine"),
        "units",
    )


def journal() -> Gathered:
    class Journal(Machine):
        def run(self, arguments: Sequence[str], deadline: float, *, kept: int = 0) -> Ended:
            hint = "Hint: You are currently not seeing messages from other users and the system.\n"
            ended = super().run(arguments, deadline, kept=kept)
            return Ended(0, ended.output, "" if "--quiet" in arguments else hint)

    return on(
        Journal({"--quiet": "2026-01-31T09:00:00Z web-7 app[1]: begun\n"}), of("systemd", "app.service"), "journal"
    )


def cluster(kind: str, name: str) -> Gathered:
    """Of a workload of which the pods are seen, and neither their nodes nor their logs."""
    with ExitStack() as stack:
        api = stack.enter_context(kubernetes_api.serving())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        filled(api, kind)
        api.forbidden |= {("get", "pods/log"), ("get", "nodes")}
        if name == "events":
            api.forbidden.add(("list", "pods"))
        host = kubernetes_api.cluster(kubernetes_api.kubeconfig(folder, f"http://127.0.0.1:{api.port}"))
        return own(kind, name)(kubernetes_api.target(host, kind), Kubernetes(host))


#: For each piece: where a part of it is not seen, and what it says of that.
PARTLY: Mapping[tuple[str, str], tuple[Callable[[], Gathered], str]] = {
    **{
        ("postgres", name): (
            lambda name=name: on(Database(), postgres_target(), name),  # type: ignore[misc]
            'what sessions of other roles do. GRANT pg_monitor TO "watch" shows it',
        )
        for name in ("sessions", "locks", "queries")
    },
    ("disk", "files"): (
        lambda: files({}),
        "3 processes of other users have open was not seen: root, or CAP_SYS_PTRACE",
    ),
    ("blocklist", "blocked"): (blocked, "the set blocked6 of IPv6 was not seen: "),
    ("container", "state"): (lambda: container("state", BEFORE, others=b"{"), "`docker ps --all` shows it"),
    ("container", "last-log"): (
        lambda: container("last-log", BEFORE, said("200 OK", b"\x01\0\0\0\0\0\0\x03ok\n")[:-2]),
        "its end: the Engine sent no more of it in time; `docker logs --tail 100 web` shows it",
    ),
    ("machine", "units"): (units, "jobs at work (systemctl list-jobs --no-pager): Operation not permitted"),
    ("systemd", "journal"): (
        journal,
        "messages of other users and the system; the group systemd-journal would show them",
    ),
    **{
        (kind, name): (lambda kind=kind, name=name: cluster(kind, name), words)  # type: ignore[misc]
        for kind in WORKLOADS
        for name, words in (
            ("nodes", "node-a, node-b, node-c: could not be seen (a ClusterRole with get of nodes shows it)"),
            ("previous-log", "needs get of pods/log (deployments/kubernetes/role.yaml has the rule)"),
            ("events", 'cannot list resource "pods"'),
        )
    },
}


def test_each_piece_of_every_kind_is_one_or_the_other() -> None:
    shipped = Registry().usable(Room.TARGETS)
    pieces_of = {(kind, name) for kind, module in shipped.items() for name in module.EVIDENCE}
    assert pieces_of == ALL_OR_NOTHING | PARTLY.keys()
    assert ALL_OR_NOTHING & PARTLY.keys() == set()
    bare = [place for place in pieces_of if not isinstance(own(*place), ByDeadline)]
    assert bare == [], "a bare text says that nothing is missing"


@pytest.mark.parametrize(("kind", "name"), PARTLY, ids=["-".join(place) for place in PARTLY])
def test_what_could_not_be_seen_is_said_as_such_and_the_rest_is_kept(kind: str, name: str) -> None:
    look, words = PARTLY[kind, name]
    seen = look()
    assert words in "\n".join(seen.unseen)
    kept = [line for line in seen.text.splitlines() if line and line not in seen.unseen]
    assert kept, "what was seen is there"


def test_what_is_unseen_reaches_the_last_part_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Database())
    *seen, missing = pieces(gather(postgres_target(), ("sessions",), since=utc_now(), patience=timedelta(seconds=5)))
    assert [piece.kind for piece in seen] == ["sessions"]
    assert missing.kind == NOT_SEEN
    assert missing.body == 'sessions: not seen: what sessions of other roles do. GRANT pg_monitor TO "watch" shows it'


def test_where_all_is_seen_nothing_is_said() -> None:
    assert on(Database(sees=True), postgres_target(), "sessions").unseen == []
    assert container("state", BEFORE).unseen == []


@pytest.mark.parametrize(
    ("name", "fails_at", "kept"),
    [
        ("sessions", "pg_prepared_xacts", "sessions by state:"),
        ("locks", "ANY (%(pids)s", "waiting for a lock: 1"),
    ],
)
def test_of_a_database_that_stops_answering_what_it_said_is_kept(name: str, fails_at: str, kept: str) -> None:
    seen = on(Database(sees=True, fails_at=fails_at), postgres_target(), name)
    assert kept in seen.text
    assert "no answer in time" in "\n".join(seen.unseen)


@pytest.mark.parametrize(
    ("slow", "why"),
    [
        ("/data/gone", "/data/gone: /data was not looked through in time"),
        ("find /proc/", "which of the files are open: "),
    ],
)
def test_a_folder_that_takes_too_long_keeps_no_other_from_being_seen(slow: str, why: str) -> None:
    seen = files({slow: None})
    assert "old.gz" in seen.text
    assert why in "\n".join(seen.unseen)


def test_lines_and_what_is_missing_are_told_apart() -> None:
    def looks(fault: Exception | None) -> Iterator[str]:
        yield "seen"
        yield Unseen("hidden; needs root")
        if fault is not None:
            raise fault

    assert collected(looks(None)) == Gathered("seen\nhidden; needs root", ["hidden; needs root"])
    late = collected(looks(TemporaryError("no answer")))
    assert late.unseen == ["hidden; needs root", "the rest could not be seen: no answer"]
    with pytest.raises(PermanentError, match="hidden; needs root"):
        collected(iter([Unseen("hidden; needs root")]))
    with pytest.raises(TemporaryError, match="no answer"):
        collected(_raising(TemporaryError("no answer")))
    assert collected(iter(())) == Gathered("", [])


def _raising(fault: Exception) -> Iterator[str]:
    yield from ()
    raise fault


def test_more_events_than_are_read_are_said_to_be_there() -> None:
    with kubernetes_api.serving() as api, tempfile.TemporaryDirectory() as folder:
        filled(api)
        page = '{"items": [{"involvedObject": {"name": "api"}, "reason": "One"}], "metadata": {"continue": "next"}}'
        api.faults.append(Fault("GET", path="/events", text=page, times=99))
        host = kubernetes_api.cluster(kubernetes_api.kubeconfig(Path(folder), f"http://127.0.0.1:{api.port}"))
        seen = own("deployment", "events")(kubernetes_api.target(host), Kubernetes(host))
        asked = [request.query.get("continue") for request in api.requests if request.path.endswith("/events")]
    assert asked == [None, "next", "next", "next", "next", "next"]
    assert seen.text.startswith("6 events, the last first")
    [why] = seen.unseen
    assert why == "events beyond the first 6 of the namespace: `kubectl --namespace shop get events` shows them"
