"""One DNS question to one server (RFC 1035), by UDP, and by TCP where the answer is too long for it."""

import time
from dataclasses import dataclass
from datetime import timedelta

from paramedic.errors import PermanentError
from paramedic.machine.clock import spoken
from paramedic.remediation import probe_answer
from paramedic.remediation.health import Sight
from paramedic.text.sanitize import one_line

PORT = 53

#: An answer with more records says nothing more.
_MOST = 100


@dataclass(frozen=True, slots=True)
class Lookup:
    """What came back: health by the answer's own code, the records of the type asked for, the time it took, and why in words."""

    sight: Sight
    took_ms: float
    why: str
    records: tuple[str, ...] = ()  # as a zone file writes them, in small letters but for TXT, without a dot at the end


def ask(name: str, record: str, server: tuple[str, int], timeout: timedelta, *, of_ours: bool) -> Lookup:
    """Ask once. No answer is a result, not an exception.

    `of_ours`: the server is this machine's own resolver, whose silence says nothing of the name. Raises PermanentError where the
    name cannot be asked for.
    """
    import dns.exception  # 40 ms; only a look pays
    import dns.flags
    import dns.message
    import dns.query
    import dns.rcode

    try:
        query = dns.message.make_query(name, record, use_edns=0, payload=1232)
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise PermanentError(f"{one_line(name)} cannot be asked for: {one_line(str(error))}") from error
    begun, who = time.perf_counter(), _spoken(server)

    def seen(sight: Sight, why: str, records: tuple[str, ...] = ()) -> Lookup:
        return Lookup(sight, (time.perf_counter() - begun) * 1000, why, records)

    try:
        answer, _ = dns.query.udp_with_fallback(
            query, server[0], timeout=timeout.total_seconds(), port=server[1], ignore_unexpected=True
        )
    except (dns.exception.Timeout, TimeoutError):
        silent = Sight.UNKNOWN if of_ours else probe_answer.of_no_answer(server[0], connected=False)
        return seen(silent, f"{who} gives no answer within {spoken(timeout)}")
    except OSError as error:
        sight = Sight.UNKNOWN if of_ours else probe_answer.of_errno(error.errno or 0)
        return seen(sight, f"{who} is not reached: {one_line(str(error))}")
    except (dns.exception.DNSException, EOFError, ValueError) as error:
        return seen(Sight.UNKNOWN, f"{who} gives no answer that can be read: {one_line(str(error))}")
    code = answer.rcode()
    if code in (dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL):
        said = "there is no such name" if code == dns.rcode.NXDOMAIN else "it cannot be resolved (SERVFAIL)"
        return seen(Sight.FAILING, f"{who} says that {said}")
    if code != dns.rcode.NOERROR:
        return seen(Sight.UNKNOWN, f"{who} answers {dns.rcode.to_text(code)}: that is about our question")
    found = [each for rrset in answer.answer if rrset.rdtype == query.question[0].rdtype for each in rrset]
    records = tuple(sorted({_text(record, each.to_text()) for each in found}))[:_MOST]
    if not records:
        return seen(Sight.FAILING, f"{who} has no {record} of it")
    return seen(Sight.WELL, f"{who} answers {one_line(', '.join(records))[:300]}", records)


def resolvers() -> list[tuple[str, int]]:
    """The resolvers of this machine, as resolv.conf names them. Raises PermanentError where it names none."""
    import dns.resolver

    try:
        found = dns.resolver.Resolver(configure=True).nameservers
    except (dns.resolver.NoResolverConfiguration, OSError) as error:
        raise PermanentError(f"this machine names no resolver: {one_line(str(error))}") from error
    return [(str(address), PORT) for address in found if "://" not in str(address)]


def canonical(record: str, text: str) -> str:
    """A record as an author writes it, in the form of `Lookup.records`. Raises ValueError where it is none of that type."""
    import dns.exception
    import dns.name
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    written = f'"{text}"' if record == "TXT" and not text.startswith('"') else text
    try:
        kind = dns.rdatatype.from_text(record)
        return _text(record, dns.rdata.from_text(dns.rdataclass.IN, kind, written, origin=dns.name.root).to_text())
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r:.80} is no answer of type {record}: {error}") from error


def _text(record: str, text: str) -> str:
    if record == "TXT":  # one text, in however many pieces it came
        return "".join(text[1:-1].split('" "')) if text.startswith('"') else text
    return text.lower().rstrip(".")


def _spoken(server: tuple[str, int]) -> str:
    host = f"[{server[0]}]" if ":" in server[0] else server[0]
    return host if server[1] == PORT else f"{host}:{server[1]}"
