"""A name in the DNS: whether it resolves, to what it is expected to, and how long that takes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Annotated

from pydantic import BeforeValidator, Field

from paramedic.kinds.metric import EXCHANGE
from paramedic.kinds.probing import Option, Question, Seen, Written, measured
from paramedic.remediation.health import Sight
from paramedic.transports.dns_question import PORT

CHECK = ("dns://NAME",)
ABOUT = (
    "one DNS question: a name that is not there, or has other `answers` than are expected, is an error "
    "([checks.md](checks.md#dns))"
)
METRICS = EXCHANGE

_RECORDS = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT", "CAA")
_Record = Annotated[str, Field(pattern=f"^({'|'.join(_RECORDS)})$")]
_Answer = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,500}$")]


def _one_or_many(written: object) -> object:
    return tuple(written) if isinstance(written, list) else (written,) if isinstance(written, str) else written


OPTIONS = (
    Option("record", _Record, f"the type of record: {', '.join(_RECORDS)}; without it A"),
    Option(
        "resolver",
        r"^(\[[0-9A-Fa-f:]+\]|[0-9.]+)(:[0-9]{1,5})?$|^[0-9A-Fa-f:]+$",
        "the address of the server that is asked, where it is not this machine's own: 10.0.0.53, [::1]:5353",
    ),
    Option(
        "answers",
        Annotated[
            tuple[_Answer, ...],
            BeforeValidator(_one_or_many, json_schema_input_type=_Answer | list[_Answer]),
            Field(min_length=1, max_length=100),
        ],
        "all that it is to resolve to, in any order: [192.0.2.10, 192.0.2.11]",
    ),
)

_NAME = re.compile(r"[^\s/:?#@\x00-\x1f]{1,253}")


def subject(written: Written) -> str:
    """The name. Raises ValueError for one that is none."""
    name = written.check.removeprefix("dns://")
    if not _NAME.fullmatch(name.replace("{host}", "host")):
        raise ValueError("write dns://NAME; `record` and `resolver` are keys of their own")
    return name


def misfits(written: Written) -> Iterator[tuple[str, str]]:
    """An answer that is none of its record's type, and a resolver that is no address, with the words for it."""
    record = written.options.get("record", "A")
    for answer in written.options.get("answers", ()):
        from paramedic.transports import dns_question  # dnspython: only a file with such a check pays

        try:
            dns_question.canonical(record, answer)
        except ValueError as error:
            yield "answers", str(error)
    if (resolver := written.options.get("resolver")) is not None:
        try:
            _server(resolver)
        except ValueError as error:
            yield "resolver", f"{error}; write 10.0.0.53 or [::1]:5353"


def look(question: Question) -> Seen:
    """Ask once, of this machine's resolvers the next where one does not answer. Raises PermanentError where nothing is known."""
    from paramedic.transports import dns_question

    options, record = question.options, question.options.get("record", "A")
    named = options.get("resolver")
    servers = [_server(named)] if named is not None else dns_question.resolvers()[:3]
    name = question.where if question.where.endswith(".") else f"{question.where}."
    within = question.timeout / len(servers)
    for server in servers:
        seen = dns_question.ask(name, record, server, within, of_ours=named is None)
        if seen.records or seen.sight is not Sight.UNKNOWN:
            break
    expected = {dns_question.canonical(record, answer) for answer in options.get("answers", ())}
    if seen.sight is Sight.WELL and expected and set(seen.records) != expected:
        seen = replace(seen, sight=Sight.FAILING, why=f"{seen.why}, and well is {', '.join(sorted(expected))}")
    return measured(seen)


def _server(written: str) -> tuple[str, int]:
    """The address and the port. Raises ValueError."""
    host, port = written, PORT
    if written.startswith("["):
        host, _, rest = written[1:].partition("]")
        port = int(rest[1:]) if rest else PORT
    elif written.count(":") == 1:
        host, _, rest = written.partition(":")
        port = int(rest)
    if not 0 < port < 65_536:
        raise ValueError(f"{written!r:.80} has no port of TCP")
    return str(ip_address(host)), port
