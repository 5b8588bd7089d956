"""The supervisord integration against servers that lie."""

import os
import socket
import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from lying_supervisord import OK, RUNNING, answering, at, saying

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.integrations.targets.supervisord import Changer, Reader
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.transport import ProcessRow
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
