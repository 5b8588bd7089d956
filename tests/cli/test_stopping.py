"""What stays is ended by SIGTERM and Ctrl-C, whatever it does at that moment; one that cannot start ends by itself."""

import io
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paramedic.cli import main, up
from paramedic.demo import run
from paramedic.stack import instance
from paramedic.stack.stack import Stack


class _StoppedInMidLine(io.StringIO):
    def write(self, text: str) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


@contextmanager
def _up() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, up._stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("listening", "raised"), [(_up, up._Stop), (run._stopping_on_signals, run._Interrupted)], ids=["up", "demo"]
)
def test_a_stop_that_comes_while_a_line_is_logged_is_not_lost_in_the_log(
    listening: object, raised: type[BaseException]
) -> None:
    log = logging.getLogger("a-log-of-this-test")
    log.propagate = False
    log.addHandler(logging.StreamHandler(_StoppedInMidLine()))
    with pytest.raises(raised), listening():  # type: ignore[operator]
        log.warning("waiting for the Prefect server")


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_up_ends_its_processes_where_it_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    (tmp_path / "data" / "logs").mkdir(parents=True)
    stopped: list[Stack] = []
    monkeypatch.setattr(Stack, "start", lambda _: os.kill(os.getpid(), number))
    monkeypatch.setattr(Stack, "stop", lambda stack: stopped.append(stack))  # noqa: PLW0108 - a builtin is not bound to it
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        up.up(data=tmp_path / "data")
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    assert len(stopped) == 1
    assert "stopping …" in capsys.readouterr().out


@pytest.mark.usefixtures("_nothing_set")
def test_up_ends_with_2_and_names_the_port_or_the_other_up_that_is_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PARAMEDIC_PORT", str(taken.getsockname()[1]))
        assert _up_ends(data) == 2
        output = capsys.readouterr().err
        assert f"port {taken.getsockname()[1]}" in output
        assert "PARAMEDIC_PORT" in output
    monkeypatch.setenv("PARAMEDIC_PORT", "0")
    with instance.alone(data):
        assert _up_ends(data) == 2
    assert "another `paramedic up`" in capsys.readouterr().err


def _up_ends(data: Path) -> int | str | None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            main(["up", "--data", str(data)])
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return ended.value.code
