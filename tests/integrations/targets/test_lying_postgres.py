"""The PostgreSQL integration against servers that lie, break and say no, and against what authors write."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.integrations.targets import postgres as kind
from paramedic.integrations.targets.postgres import Changer, Reader
from paramedic.remediation.target import Identity, Target
from paramedic.text.yaml_document import BadDocument

SERVICES = """\
services:
  shop:
    targets:
      - {host: db-1, postgres: {database: orders, address: "postgresql://watch@db-1?passfile=/etc/pgpass", at_most: 2}}
      - {host: db-1, postgres: {server: main, address: "service=main"}}
      - {host: db-2, postgres: {server: main, address: "postgresql:///?host=/run/postgresql"}}
      - {host: db-1, systemd: postgresql.service}
"""

AT = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


def services() -> Services:
    return parse_services(SERVICES, "services.yaml")


def orders() -> Target:
    found = services().by_id("db-1/postgres:orders")
    assert found is not None
    return found


def session(pid: int, kept: str | None = None) -> dict[str, Any]:
    starts = {name: AT + timedelta(seconds=pid) for name in ("backend_start", "xact_start", "state_change")}
    words = {"role": "shop", "application": "till", "database": "orders", "client": None, "query": "SELECT 1"}
    return {"pid": pid, **starts, **words, "state": "idle in transaction", "idle": 1000.0, "open": 1000.0, "kept": kept}


class Server:
    """Says what it is told to; `answers` to the statements that end a session: a value, or an error to raise."""

    def __init__(self, *idle: dict[str, Any], answers: Mapping[int, object] | None = None) -> None:
        self.idle, self.answers, self.told = list(idle), answers or {}, list[int]()
        self.stays: set[int] = set()
        self.facts = {"started_at": 1.0, "role": "watch", "sees": True, "ends": True, "tracks": True}

    def database(self, address: str, deadline: float) -> Self:
        self.address = address
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def rows(self, statement: str, parameters: Any = None, *, deadline: float) -> list[Mapping[str, Any]]:
        if "pg_terminate_backend" in statement:
            return self._end(parameters["pid"])
        if "pg_postmaster_start_time" in statement:
            return [self.facts]
        if "unnest(%(pids)s" in statement:
            return [{"pid": pid} for pid in parameters["pids"] if pid in self.stays]
        return [row for row in self.idle if row["pid"] not in self.told or row["pid"] in self.stays]

    def _end(self, pid: int) -> list[Mapping[str, Any]]:
        answer = self.answers.get(pid, True)
        if isinstance(answer, Exception):
            raise answer
        if answer is not True:
            return []
        self.told.append(pid)
        return [{"signalled": True}]


def end(
    server: Server, *, seconds: float = 5, last_look: Callable[[], None] = lambda: None
) -> tuple[Changer, Identity]:
    expected = Reader(orders(), server).identity()  # type: ignore[arg-type]
    changer = Changer(orders(), server, timedelta(seconds=seconds))  # type: ignore[arg-type]
    return changer, changer.end_idle_in_transaction(expected, last_look)


def test_a_session_that_was_told_to_end_and_stays_is_not_called_ended() -> None:
    server = Server(session(7))
    server.stays = {7}
    with pytest.raises(OutcomeUnknown, match="was told to end pid 7 .*; still there: pid 7"):
        end(server, seconds=0.2)


def test_a_no_for_one_session_keeps_no_other_from_its_end() -> None:
    server = Server(session(7), session(8), answers={7: PermanentError("permission denied")})
    changer, _ = end(server)
    assert server.told == [8]
    assert "ended 1 session" in changer.did
    assert "1 more may be ended and were not" in changer.did


def test_a_no_for_all_of_them_is_a_failure_and_says_why() -> None:
    with pytest.raises(PermanentError, match="ended no session: pid 7 .*: permission denied"):
        end(Server(session(7), answers={7: PermanentError("permission denied")}))


def test_a_silence_after_the_first_names_what_was_ended_before() -> None:
    server = Server(session(7), session(8), answers={8: TemporaryError("the line is dead")})
    with pytest.raises(OutcomeUnknown, match=r"told to end pid 7 .*, pid 8 .*of the last is open: the line is dead"):
        end(server)


def test_a_deadline_that_passes_in_the_last_look_sends_nothing() -> None:
    server = Server(session(7))
    with pytest.raises(Refused, match="were over before anything was sent"):
        end(server, seconds=0.0)
    assert server.told == []


def test_what_is_not_known_after_it_was_proven_leaves_the_proof_standing() -> None:
    server = Server(session(7))
    changer, after = end(server, last_look=lambda: server.facts.update(sees=False))
    assert after.unclear
    assert "ended 1 session" in changer.did


def test_no_more_than_at_most_are_told() -> None:
    server = Server(*(session(pid) for pid in (5, 6, 7)))
    end(server)
    assert server.told == [5, 6]


def test_where_none_may_be_ended_each_reason_is_counted() -> None:
    server = Server(session(5, "superuser"), session(6, "own"), session(7, "right"))
    with pytest.raises(Refused, match="1 Paramedic's own.*1 a superuser's.*GRANT pg_signal_backend TO \"watch\""):
        end(server)


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"sees": False}, 'GRANT pg_monitor TO "watch"'), ({"tracks": False}, "set track_activities = on")],
)
def test_what_cannot_be_seen_is_not_well(facts: dict[str, Any], words: str) -> None:
    server = Server()
    server.facts |= facts
    with pytest.raises(PermanentError, match=words):
        Reader(orders(), server).identity()  # type: ignore[arg-type]


def test_an_open_act_happened_once_its_first_session_is_gone_and_not_by_a_younger_one_s_end() -> None:
    server = Server(session(7), session(8))
    reader = Reader(orders(), server)  # type: ignore[arg-type]
    before = reader.identity()
    server.told = [8]
    assert not kind.restarted(before, reader.identity())
    server.told = [7]
    assert kind.restarted(before, reader.identity())
    assert not kind.restarted(Identity("up", {"started_at": 1.0, "oldest": None}), before)


def test_a_server_that_was_restarted_meanwhile_is_another_one() -> None:
    server = Server(session(7))
    expected = Reader(orders(), server).identity()  # type: ignore[arg-type]
    server.facts["started_at"] = 2.0
    with pytest.raises(TargetChanged):
        Changer(orders(), server).end_idle_in_transaction(expected, lambda: None)  # type: ignore[arg-type]


def test_a_server_covers_the_databases_of_its_host() -> None:
    found = services()
    assert {target.id: target.overlapping for target in found if target.overlapping} == {
        "db-1/postgres:orders": ("db-1/postgres:main",),
        "db-1/postgres:main": ("db-1/postgres:orders",),
    }


@pytest.mark.parametrize(
    ("words", "connection"),
    [
        ("database: o'rders, address: service=main", r"service=main dbname='o\'rders'"),
        ("server: main, address: service=main", "service=main"),
        ("database: a&b, address: postgresql://h", "postgresql://h?dbname=a%26b"),
        ("database: orders, address: 'postgresql://h?sslmode=require'", "postgresql://h?sslmode=require&dbname=orders"),
        ("server: main, address: postgresql://h", "postgresql://h?dbname=postgres"),
        ("server: main, address: postgresql://h/admin", "postgresql://h/admin"),
    ],
)
def test_the_database_is_named_in_the_connection_and_is_data_there(words: str, connection: str) -> None:
    text = f"services:\n  s:\n    targets:\n      - {{host: db-1, postgres: {{{words}}}}}\n"
    [target] = parse_services(text, "services.yaml")
    server = Server()
    Reader(target, server).identity()  # type: ignore[arg-type]
    assert server.address == connection


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("database: d, address: 'postgresql://u:hunter2@h'", "a password does not stand here"),
        ("database: d, address: 'postgresql://u@h?password=hunter2'", "a password does not stand here"),
        ("database: d, address: 'postgresql://h?options=-cfoo'", "`options` is not written in the address"),
        ("database: d, address: 'service=a password=hunter2'", "names no service"),
        ("database: d, address: 'postgresql://{host}'", "nothing is filled in"),
        ("database: d, server: s, address: service=a", "exactly one of"),
        ("address: service=a", "exactly one of"),
        ("database: d, address: service=a, at_most: 0", "at_most"),
        ("database: d, address: service=a, idle_in_transaction: 1ms", "too short"),
        ("database: d, address: service=a, spare: {role: x}", "spare.role"),
    ],
)
def test_what_an_author_may_not_write_is_refused_where_it_stands(words: str, said: str) -> None:
    with pytest.raises(BadDocument, match=said) as refused:
        parse_services(
            f"services:\n  s:\n    targets:\n      - {{host: db-1, postgres: {{{words}}}}}\n", "services.yaml"
        )
    assert "services.yaml:4" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_examples_of_the_page_are_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "targets.md").read_text().partition("## A PostgreSQL database")[2]
    listed, runbook = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[:2]
    services = parse_services(f"services:\n  shop:\n    owner: shop\n    targets:\n{listed}", "services.yaml")
    [target] = services
    assert (target.words.at_most, target.words.spare.roles) == (5, ["etl"])
    front = f"runbook: idle\nservice: shop\n{runbook}"
    book = parse(f"---\n{front}---\n**Meaning.** a\n**Impact.** b\n## Diagnosis\nc\n## Mitigation\nd\n", "idle.md")
    assert [remedy.name for remedy in book.remedies] == ["end_idle_in_transaction"]
