"""The length of a queue in Redis: a list, a stream or what a group has left of it, a set, a sorted set."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds.number_question import LOGIN
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.kinds.queue_question import QUEUE, QUEUED, needs_a_queue
from paramedic.text.address import host_and_port

CHECK = ("redis://HOST:PORT", "rediss://HOST:PORT", "redis")
ABOUT = (
    "how much waits in a `queue` of Redis: a list, a set, a sorted set, a stream, or what a `consumer_group` of it has not done "
    "([checks.md](checks.md#queues))"
)
METRICS = (QUEUED,)
OPTIONS = (
    QUEUE,
    Option(
        "consumer_group",
        Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")],
        "a group of a stream: what it has not been given, and what it has not acknowledged",
    ),
    LOGIN,
)

_LENGTHS = {"list": "LLEN", "zset": "ZCARD", "set": "SCARD", "stream": "XLEN"}

_ADDRESS = re.compile(r"rediss?://[^\s@?#]+")


def subject(written: Written) -> str:
    """The server's address, or nothing where a login has it. Raises ValueError for one that is none."""
    needs_a_queue(written)
    if "://" not in written.check:
        return ""
    if not _ADDRESS.fullmatch(written.check):
        raise ValueError(
            "write redis://HOST:PORT/DATABASE; a password stands in the setting `logins`, with `check: redis`"
        )
    host_and_port(written.check.replace("{host}", "host"), needs_port=False)
    return written.check


def misfits(written: Written) -> Iterator[tuple[str, str]]:
    """Keys that do not go together, each with the words for it."""
    if "://" in written.check and "login" in written.options:
        yield (
            "login",
            "a login is sent to its own address alone: write `check: redis`, and `url` in the setting `logins`",
        )


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where there is no answer, or the queue is no queue."""
    from paramedic.transports import redis_session

    url = question.where
    words: tuple[str, ...] = ()
    if not url:
        login = question.login(name := question.options.get("login", "redis"))
        if not login.url or not _ADDRESS.fullmatch(login.url):
            raise PermanentError(f"the setting logins.{name} has no `url` like redis://HOST:PORT/DATABASE")
        url, password = login.url, login.secret("password")
        words = () if password is None else (login.user, password) if login.user else (password,)
    queue, group = question.options["queue"], question.options.get("consumer_group")
    with redis_session.session(url, question.timeout, words) as server:
        kind = server.ask("TYPE", queue)
        if group is not None:
            return _left_to(group, kind, server.ask("XINFO", "GROUPS", queue) if kind == "stream" else ())
        if kind == "none":  # an empty list is removed
            return {"queued": 0.0}, f"{queue} is empty, or there is none"
        if kind not in _LENGTHS:
            raise PermanentError(f"{queue} is a {kind}, and no queue: a list, a stream, a set or a sorted set")
        length = server.ask(_LENGTHS[kind], queue)
    return {"queued": float(length)}, f"{length:,} in the {kind} {queue}"


def _left_to(group: str, kind: str, groups: Sequence[Sequence[Any]]) -> Seen:
    """What the group of a stream has not done. Raises PermanentError where there is no such group, or Redis cannot tell."""
    if kind != "stream":
        raise PermanentError(f"there is no stream: its type is {kind}")
    found = [dict(zip(each[::2], each[1::2], strict=False)) for each in groups]
    one = next((each for each in found if each.get("name") == group), None)
    if one is None:
        raise PermanentError(
            f"the stream has no group {group}; it has {', '.join(str(each['name']) for each in found) or 'none'}"
        )
    lag, pending = one.get("lag"), one.get("pending")
    if lag is None or pending is None:
        raise PermanentError("Redis cannot tell what the group lacks: it is older than 7.0, or entries were deleted")
    return {"queued": float(lag + pending)}, f"{lag:,} not given to {group} yet, {pending:,} not acknowledged"
