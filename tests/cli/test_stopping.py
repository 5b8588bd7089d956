"""SIGTERM ends what stays, whatever it does at that moment."""

import io
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from paramedic.cli import up
from paramedic.demo import run


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
