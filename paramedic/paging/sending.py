"""Sends by channel, each in its own thread and with one deadline for the whole of it."""

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

from paramedic.doors.telling import teller
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.message import Message
from paramedic.oncall.contact import ContactMethod
from paramedic.paging.channel_settings import channel_settings
from paramedic.settings import Settings

log = logging.getLogger(__name__)

#: A send that is not over by then has failed. The time-outs of smtplib, of http.client and of requests restart with every
#: byte, and name resolution has none: only a limit on the whole send is sure to end it.
SEND_SECONDS = 15.0

#: So many sends by one channel may hang at once in this process; until one of them ends, no other is begun.
_HUNG_LIMIT = 8

_lock = threading.Lock()
_hung: dict[str, list[threading.Thread]] = {}


class _Abandoned(BaseException):
    """Raised in the thread of an abandoned send; it passes every `except Exception`."""


class Round:
    """The state of the channels during one round of sending: its deadline, and which of them hang."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._hangs: set[str] = set()

    def left(self) -> float:
        """Seconds until every send must be over."""
        return self._ends - time.monotonic()

    def run(self, channel: str, call: Callable[[], None]) -> None:
        """Run the call within its time. Raises what it raises, and TemporaryError if it takes too long.

        A channel that took too long once is not waited for again in this round: it fails temporarily at once.
        """
        if channel in self._hangs:
            raise TemporaryError("it did not answer in time a moment ago")
        seconds = min(SEND_SECONDS, self.left())
        if seconds <= 0:
            raise TemporaryError("the time of this round is over")
        try:
            _within(seconds, channel, call)
        except _TooLong as error:
            self._hangs.add(channel)
            raise TemporaryError(str(error)) from error


class _TooLong(TemporaryError):
    """The deadline of the send has passed."""


def _within(seconds: float, channel: str, call: Callable[[], None]) -> None:
    """Call it in a thread. Raises _TooLong after these seconds, or where too many of this channel's sends hang."""
    with _lock:
        hung = _hung[channel] = [thread for thread in _hung.get(channel, ()) if thread.is_alive()]
        if len(hung) >= _HUNG_LIMIT:
            raise _TooLong(f"{len(hung)} sends by it hang")
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the edge of the thread: who waits for it hears of it
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    thread = threading.Thread(target=run, name=f"send by {channel}", daemon=True)
    thread.start()
    if not wait([outcome], timeout=seconds).done:
        _abandon(channel, thread)
        raise _TooLong(f"it gave no whole answer within {seconds:.0f} s")
    outcome.result()


def _abandon(channel: str, thread: threading.Thread) -> None:
    """A slow stream wakes the thread with each byte, and it ends there; a silent one ends by its own time-out."""
    log.warning("a send by %s took too long and was abandoned", channel)
    with _lock:
        _hung.setdefault(channel, []).append(thread)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Abandoned))


def channel_of(method: ContactMethod) -> str:
    """The key of channels that share a server, and so hang at the same time: all mail is one channel."""
    return method.spoken


def send(settings: Settings, within: Round, method: ContactMethod, message: Message) -> None:
    """Send the message by this contact method, within its time. Raises TemporaryError or PermanentError.

    Its recipient is a person's id; a channel with personal addresses gets the method's address instead.
    """
    if not method.is_named:
        message = replace(message, recipient=method.to)
    speaker = teller(method.kind, channel_settings(settings, method))
    within.run(channel_of(method), lambda: speaker.send(message))


def reach(
    settings: Settings, within: Round, methods: Sequence[ContactMethod]
) -> Mapping[ContactMethod, TemporaryError | PermanentError] | None:
    """Go the way of a message by these contact methods, all of one channel, as far as that is possible with nothing sent.

    Returns the methods that would not be taken now, each with the error of a send; None where the channel cannot tell.
    Raises TemporaryError or PermanentError as `send` does where none is.
    """
    speaker = teller(methods[0].kind, channel_settings(settings, methods[0]))
    go = getattr(speaker, "reach", None)
    if go is None:
        return None
    refused: dict[str, TemporaryError | PermanentError] = {}
    within.run(channel_of(methods[0]), lambda: refused.update(go([method.to for method in methods])))
    return {method: refused[method.to] for method in methods if method.to in refused}
