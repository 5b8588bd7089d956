"""By the channels: each send in a thread of its own, and with one deadline for the whole of it."""

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from paramedic.doors.telling import teller
from paramedic.errors import PermanentError, TemporaryError
from paramedic.messages.compose import Message
from paramedic.oncall.contact import ContactMethod
from paramedic.settings import Settings

log = logging.getLogger(__name__)

#: A send that is not over by then has failed. The time-outs of smtplib, of http.client and of requests begin anew with
#: every byte, and those of a name's resolution are nobody's: only who waits for the whole can say that it takes too long.
SEND_SECONDS = 15.0

#: So many sends by one channel may hang at once in this process; until one of them ends, no other is begun.
_HUNG_LIMIT = 8

_lock = threading.Lock()
_hung: dict[str, list[threading.Thread]] = {}


class _Abandoned(BaseException):
    """Raised in a thread whose send nobody waits for any more; no `except Exception` on its way keeps it alive."""


class Round:
    """What is known of the channels while one round of messages is sent: when it must be over, and which of them hang."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._hangs: set[str] = set()

    def left(self) -> float:
        """Seconds until every send must be over."""
        return self._ends - time.monotonic()

    def run(self, channel: str, call: Callable[[], None]) -> None:
        """Have the call made, and over within its time. Raises what it raises, TemporaryError if it takes too long.

        A channel that took too long once is not waited for again in this round: it says "later" at once.
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
    """The deadline for the whole came."""


def _within(seconds: float, channel: str, call: Callable[[], None]) -> None:
    with _lock:
        hung = _hung[channel] = [one for one in _hung.get(channel, ()) if one.is_alive()]
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
    """What drips wakes the thread with each byte, and there it ends; what is silent ends by its own time-out."""
    log.warning("a send by %s took too long, and is given up", channel)
    with _lock:
        _hung.setdefault(channel, []).append(thread)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Abandoned))


def channel_of(way: ContactMethod) -> str:
    """What may hang as one: all mail goes by one server."""
    return "email" if way.kind == "email" else str(way)


def send(  # noqa: PLR0917 - what a message is made of
    settings: Settings, within: Round, way: ContactMethod, to: str, written: Message, mark: str, message_id: str
) -> None:
    """Send the letter by this way, within its time. `mark` says whose it is. Raises TemporaryError or PermanentError."""
    headers = {"X-Paramedic": mark} | {f"X-Paramedic-{key.title()}": said for key, said in written.marks.items()}
    if "incident" in written.marks:  # one thread per incident in the reader's mailbox
        headers["References"] = message_id_of(written.marks["incident"], mark)
    to = way.to if way.kind == "email" else to
    speaker = teller(way.kind, _leads(settings, way))
    within.run(channel_of(way), lambda: speaker.send(to, written.subject, written.text, None, headers, message_id))


def message_id_of(what: object, store: str) -> str:
    """A Message-ID: the same for a repeated message. Short enough to stand on its header's own line."""
    return f"<{what}.{store}@paramedic.invalid>"


def _leads(settings: Settings, way: ContactMethod) -> dict[str, str]:
    """What the way's integration needs to know, from the settings alone."""
    if way.kind == "email":
        if settings.smtp_url is None:
            raise PermanentError("no smtp_url is set: no mail can leave")
        return {"url": settings.smtp_url.get_secret_value(), "sender": settings.mail_from}
    channel = settings.channels.get(way.to)
    if channel is None:
        raise PermanentError(f"the setting `channels` names no {way.to}")
    given = {"url": channel.url, "secret": channel.secret}
    return {key: said.get_secret_value() for key, said in given.items() if said is not None}
