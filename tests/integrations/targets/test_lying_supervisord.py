"""The supervisord integration against servers that lie."""

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lying_supervisord import OK, RUNNING, answering, at, saying

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.integrations.targets.supervisord import Changer, Reader, Words, needs
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.transport import ProcessRow
from paramedic.processes import going_on
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

IDENTITY = process_identity(7, 1_700_000_000.0, "RUNNING")


LIES = [
    b"",
    b"\x00\xff\xfe",
    b"HTTP/1.0 500 Internal Server Error\r\n\r\n",
    OK,
    OK + b"<html>",
    RUNNING[:-40],
    OK + b"<methodResponse><params></params></methodResponse>",
    saying(b"<int>seven</int>"),
    saying(b"<int>7</int>"),
    OK
    + b"<methodResponse><params><param><value><array><data></data></array></value></param></params></methodResponse>",
]


def test_a_whole_answer_is_an_identity() -> None:
    with answering(RUNNING) as (target, _):
        assert Reader(target, Local()).identity() == IDENTITY


@pytest.mark.parametrize("lie", LIES)
def test_what_cannot_be_understood_may_go_better_in_a_moment(lie: bytes) -> None:
    with answering(lie) as (target, _), pytest.raises(TemporaryError):
        Reader(target, Local()).identity()


@pytest.mark.parametrize("lie", LIES)
def test_after_the_send_what_cannot_be_understood_leaves_the_outcome_open(lie: bytes) -> None:
    with answering(RUNNING, lie) as (target, asked), pytest.raises(OutcomeUnknown):
        Changer(target, Local()).restart(IDENTITY, lambda: None)
    assert b"system.multicall" in asked[1]


SENT = saying(b"<boolean>1</boolean>")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(going_on, "LOOKED_AT_SECONDS", 0.0)


def reloading(target: Target) -> Changer:
    return Changer(named(target.address, Words(program="app", address=target.address, reload="USR1")), Local())


def named(address: str, words: Words | None) -> Target:
    return replace(at(address), words=words)


@pytest.mark.usefixtures("at_once")
def test_a_reload_is_one_signal_of_those_that_services_yaml_may_name() -> None:
    with answering(RUNNING, SENT, RUNNING) as (target, asked):
        changer = reloading(target)
        assert changer.reload(IDENTITY, lambda: None) == IDENTITY
    assert changer.did == "supervisord sent here/app the signal USR1, and process 7 goes on"
    assert asked[1].count(b"<methodName>") == 1
    assert b"<methodName>supervisor.signalProcess</methodName>" in asked[1]
    assert b"<string>app</string>" in asked[1]
    assert b"<string>USR1</string>" in asked[1]


def test_no_signal_is_sent_that_services_yaml_does_not_name() -> None:
    """Without it a program that handles no SIGHUP would die by its reload."""
    words = Words(program="app", address="http://127.0.0.1:1")
    assert needs(words, "reload") == "reload: HUP"
    assert needs(words, "restart") is None
    assert needs(words.model_copy(update={"reload": "HUP"}), "reload") is None
    looked: list[int] = []
    for none in (words, None):
        with pytest.raises(PermanentError, match=r"names no signal by which here/app reloads: `reload: HUP` beside"):
            Changer(named("http://127.0.0.1:1", none), Local()).reload(IDENTITY, lambda: looked.append(1))
    assert not looked


@pytest.mark.parametrize("signal", ["KILL", "TERM", "STOP", "1", "SIGHUP", "hup", "HUP; reboot", ""])
def test_a_signal_that_ends_or_stops_a_program_is_no_reload(signal: str) -> None:
    with pytest.raises(ValueError, match="'HUP', 'USR1' or 'USR2'"):
        Words.model_validate({"program": "app", "address": "unix:///s", "reload": signal})


@pytest.mark.parametrize("lie", LIES)
def test_after_a_signal_what_cannot_be_understood_leaves_the_outcome_open(lie: bytes) -> None:
    with answering(RUNNING, lie) as (target, asked), pytest.raises(OutcomeUnknown):
        reloading(target).reload(IDENTITY, lambda: None)
    assert b"signalProcess" in asked[1]


@pytest.mark.parametrize("other", [saying(b"<boolean>0</boolean>"), RUNNING])
def test_the_answer_of_another_request_is_none_of_a_signals(other: bytes) -> None:
    with answering(RUNNING, other) as (target, _), pytest.raises(OutcomeUnknown, match="not that of a signal"):
        reloading(target).reload(IDENTITY, lambda: None)


@pytest.mark.usefixtures("at_once")
def test_after_a_signal_a_supervisord_that_says_nothing_more_leaves_the_outcome_open() -> None:
    with answering(RUNNING, SENT, b"") as (target, _), pytest.raises(OutcomeUnknown, match="whether it goes on"):
        reloading(target).reload(IDENTITY, lambda: None)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("then", "words"),
    [
        (RUNNING.replace(b">7<", b">8<"), "it is RUNNING now, started again by supervisord"),
        (RUNNING.replace(b">1700000000<", b">1700000009<"), "it is RUNNING now, started again by supervisord"),
        (RUNNING.replace(b">7<", b">0<").replace(b"RUNNING", b"EXITED"), "it is EXITED now$"),
        (RUNNING.replace(b">7<", b">0<").replace(b"RUNNING", b"BACKOFF"), "it is BACKOFF now$"),
    ],
)
def test_a_program_that_died_by_its_reload_was_not_reloaded(then: bytes, words: str) -> None:
    with (
        answering(RUNNING, SENT, then) as (target, _),
        pytest.raises(PermanentError, match=f"died by its reload, the signal USR1: {words}"),
    ):
        reloading(target).reload(IDENTITY, lambda: None)


def fault(code: int, words: str) -> bytes:
    member = "<member><name>{}</name><value>{}</value></member>"
    inside = member.format("faultCode", f"<int>{code}</int>") + member.format(
        "faultString", f"<string>{words}</string>"
    )
    return OK + f"<methodResponse><fault><value><struct>{inside}</struct></value></fault></methodResponse>".encode()


@pytest.mark.parametrize(
    "no", [fault(70, "NOT_RUNNING: app"), fault(1, "UNKNOWN_METHOD"), fault(30, "FAILED: no such")]
)
def test_a_supervisord_that_says_no_to_a_signal_has_failed(no: bytes) -> None:
    """Before 3.2 it knows no signals (Supervisor/supervisor#477)."""
    with answering(RUNNING, no) as (target, _), pytest.raises(PermanentError, match="says "):
        reloading(target).reload(IDENTITY, lambda: None)


def test_a_billion_laughs_are_no_answer() -> None:
    entities = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 12))
    bomb = OK + b'<!DOCTYPE x [<!ENTITY l0 "ha">' + entities + b"]><methodResponse><params><param><value>&l11;</value>"
    with answering(bomb) as (target, _), pytest.raises((TemporaryError, PermanentError)):
        Reader(target, Local()).identity()


def test_a_drip_does_not_hold_us_beyond_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            line, _ = server.accept()
            with line:
                while not over.wait(0.05):
                    try:
                        line.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(TemporaryError, match="did not answer in time"):
            Reader(at(f"http://127.0.0.1:{server.getsockname()[1]}"), Local(), timedelta(seconds=0.3)).identity()
        over.set()
        thread.join(5)


@pytest.mark.parametrize(
    "address",
    ["", "/run/s.sock", "unix://run/s.sock", "unix://", "ftp://here", "http://", "http://here:port"],
)
def test_an_address_that_cannot_be_right_is_useless(address: str) -> None:
    with pytest.raises(PermanentError, match="address"):
        Reader(at(address), Local()).identity()


def test_a_socket_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="is not there"):
        Reader(at(f"unix://{tmp_path}/gone"), Local()).identity()


def test_the_request_leaves_in_one_piece_right_after_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    send: Callable[..., None] = socket.socket.sendall
    with answering(RUNNING, b"") as (target, _):
        identity = Reader(target, Local())._ask("supervisor.getProcessInfo", "app")  # the first answer is for this
        assert identity["pid"] == 7
        monkeypatch.setattr(Reader, "identity", lambda _: IDENTITY)

        def tell_and_send(line: socket.socket, data: bytes) -> None:
            if threading.current_thread() is threading.main_thread():  # the server's answer is none of ours
                order.append("sent")
            send(line, data)

        monkeypatch.setattr(socket.socket, "sendall", tell_and_send)
        monkeypatch.setattr(socket, "create_connection", _told(order, "connected", socket.create_connection))
        with pytest.raises(OutcomeUnknown):
            Changer(target, Local()).restart(IDENTITY, lambda: order.append("looked"))
    assert order == ["connected", "looked", "sent"]


def _told(order: list[str], word: str, call: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    def tell(*args: object, **named: object) -> socket.socket:
        order.append(word)
        return call(*args, **named)

    return tell


def test_a_socket_of_somebody_else_is_useless() -> None:
    superuser = os.geteuid() == 0  # who may talk to every socket: for the moment of the try it is nobody
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        server.bind(f"{folder}/s")
        server.listen()
        Path(f"{folder}/s").chmod(0)
        try:
            if superuser:
                os.seteuid(65534)
            with pytest.raises(PermanentError, match="may not talk"):
                Reader(at(f"unix://{folder}/s"), Local()).identity()
        finally:
            if superuser:
                os.seteuid(0)


class Rows:
    """The processes of a machine, by pid: parent and command line."""

    def __init__(self, rows: dict[int, tuple[int, str]]) -> None:
        self._rows = rows

    def row(self, pid: int) -> ProcessRow | None:
        if pid not in self._rows:
            return None
        parent, cmdline = self._rows[pid]
        return ProcessRow(pid, parent, "x", cmdline, 0, 0.0, 0.0, "running")


@pytest.mark.parametrize(
    ("rows", "supervisord", "owned"),
    [
        ({7: (3, "app")}, 3, True),
        ({7: (2, "a thread of the kernel")}, 3, False),
        ({}, 3, False),
        ({7: (1, "journald"), 1: (0, "/sbin/init")}, 1, False),  # 1 in its container, and on this machine another one
        ({7: (1, "app"), 1: (0, "python3 /usr/bin/supervisord -n")}, 1, True),
    ],
)
def test_a_child_of_its_own_is_told_from_another_machines(
    rows: dict[int, tuple[int, str]], supervisord: int, owned: bool
) -> None:
    machine = Local()
    machine.processes = Rows(rows)  # type: ignore[assignment]
    with answering(saying(f"<int>{supervisord}</int>".encode())) as (target, asked):
        assert Reader(target, machine).owns(7) is owned
        if not asked:
            Reader(target, machine)._ask("supervisor.getPID")  # the server waits for its caller
