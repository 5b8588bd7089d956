"""Names in the DNS, at a server that answers as a test says: what is well, what fails, what nobody can tell."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from looked_at import look, made
from pydantic import ValidationError

from paramedic.checks.check import Sample
from paramedic.transports import dns_question

NAME = "orders.example.org"
Says = Callable[[dns.message.Message], dns.message.Message | bytes | None]


def says(*records: str, code: dns.rcode.Rcode = dns.rcode.NOERROR) -> Says:
    """Records as `TYPE TEXT`, or `NAME TYPE TEXT` of another name."""

    def answer(query: dns.message.Message) -> dns.message.Message:
        found = dns.message.make_response(query)
        found.set_rcode(code)
        for record in records:
            kind, _, text = record.partition(" ")
            found.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", kind, text))
        return found

    return answer


@dataclass
class Dns:
    """A server by UDP and TCP on one port."""

    port: int
    answer: Says
    asked: list[str] = field(default_factory=list)

    def reply(self, wire: bytes, *, by: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        self.asked.append(f"{by} {query.question[0].to_text()}")
        found = self.answer(query)
        return found.to_wire(max_size=65_535) if isinstance(found, dns.message.Message) else found


@contextmanager
def serving() -> Iterator[Dns]:
    with (
        socket.create_server(("127.0.0.1", 0)) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(stream.getsockname())
        server = Dns(stream.getsockname()[1], says("A 192.0.2.10"))

        def by_udp() -> None:
            with suppress(OSError):
                while True:
                    wire, client = datagrams.recvfrom(4096)
                    if not wire:
                        return
                    if (reply := server.reply(wire, by="udp")) is not None:
                        datagrams.sendto(reply, client)

        def by_tcp() -> None:
            with suppress(OSError):
                while True:
                    line, _ = stream.accept()
                    with line:
                        (length,) = struct.unpack("!H", line.recv(2))
                        if (reply := server.reply(line.recv(length), by="tcp")) is not None:
                            line.sendall(struct.pack("!H", len(reply)) + reply)

        for serve in (by_udp, by_tcp):
            threading.Thread(target=serve, daemon=True).start()
        yield server
        datagrams.sendto(b"", datagrams.getsockname())
        stream.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Dns]:
    with serving() as server:
        yield server


def ask(server: Dns, answer: Says | None = None, **words: Any) -> Sample:
    if answer is not None:
        server.answer = answer
    return look(made(**({"check": f"dns://{NAME}", "resolver": f"127.0.0.1:{server.port}"} | words)))


def error(sample: Sample) -> float | None:
    return None if sample.values is None else sample.values["error"]


@pytest.mark.parametrize(
    ("answer", "words", "result", "why"),
    [
        (says("A 192.0.2.10"), {}, 0, "answers 192.0.2.10"),
        (says("A 192.0.2.11", "A 192.0.2.10"), {"answers": ["192.0.2.10", "192.0.2.11"]}, 0, "192.0.2.10, 192.0.2.11"),
        (says("A 192.0.2.10", "A 192.0.2.66"), {"answers": "192.0.2.10"}, 1, "192.0.2.66, and well is 192.0.2.10"),
        (says("A 0.0.0.0"), {"answers": "192.0.2.10"}, 1, "answers 0.0.0.0, and well is 192.0.2.10"),
        (says("CNAME www.example.net.", "A 192.0.2.10"), {"answers": "192.0.2.10"}, 0, "answers 192.0.2.10"),
        (says("CNAME www.example.net."), {}, 1, "has no A of it"),
        (says("CNAME WWW.Example.net."), {"record": "CNAME", "answers": "www.example.NET"}, 0, "www.example.net"),
        (says("AAAA 2001:db8::1"), {"record": "AAAA", "answers": "2001:0DB8:0:0::1"}, 0, "2001:db8::1"),
        (says("MX 10 mail.example.org."), {"record": "MX", "answers": "10 mail.example.org"}, 0, "10 mail.example.org"),
        (says('TXT "v=spf1 " "-all"'), {"record": "TXT", "answers": "v=spf1 -all"}, 0, "v=spf1 -all"),
        (says(), {}, 1, "has no A of it"),
        (says(code=dns.rcode.NXDOMAIN), {}, 1, "there is no such name"),
        (says(code=dns.rcode.SERVFAIL), {}, 1, "it cannot be resolved (SERVFAIL)"),
        (says(code=dns.rcode.REFUSED), {}, None, "answers REFUSED: that is about our question"),
        (says(code=dns.rcode.NOTIMP), {}, None, "answers NOTIMP"),
    ],
)  # fmt: skip
def test_an_answer_is_well_where_it_is_what_is_expected(
    server: Dns, answer: Says, words: dict[str, Any], result: float | None, why: str
) -> None:
    sample = ask(server, answer, **words)
    assert (error(sample), why in sample.why) == (result, True), sample.why


def test_the_name_is_taken_whole_and_its_host_is_the_target_s(server: Dns) -> None:
    ask(server, check="dns://{host}.internal", record="AAAA")
    assert server.asked == ["udp web-1.internal. IN AAAA"]


def test_a_long_answer_comes_by_tcp(server: Dns) -> None:
    many = [f"A 192.0.2.{number}" for number in range(1, 200)]

    def answer(query: dns.message.Message) -> dns.message.Message:
        full = says(*many)(query)
        if server.asked[-1].startswith("udp"):
            full.answer.clear()
            full.flags |= dns.flags.TC
        return full

    assert error(ask(server, answer)) == 0
    assert [asked.split()[0] for asked in server.asked] == ["udp", "tcp"]


def test_a_server_that_is_silent_or_gone_is_failing_on_loopback_and_unknown_elsewhere(server: Dns) -> None:
    silent = ask(server, lambda _: None, timeout="200ms")
    assert (error(silent), "gives no answer within 200ms" in silent.why) == (1, True)
    elsewhere = look(made(check=f"dns://{NAME}", resolver="192.0.2.1", timeout="200ms"))
    assert error(elsewhere) is None


def test_an_answer_that_is_none_or_somebody_else_s_is_not_taken(server: Dns) -> None:
    def of_another(query: dns.message.Message) -> dns.message.Message:
        found = says("A 192.0.2.66")(query)
        found.id = (query.id + 1) % 65_536
        return found

    forged = ask(server, of_another, timeout="300ms")
    assert "192.0.2.66" not in forged.why
    rubbish = ask(server, lambda _: b"\x00" * 12, timeout="300ms")
    assert "the check itself failed" not in rubbish.why
    assert error(rubbish) != 0


def test_the_machine_s_own_resolvers_are_asked_in_turn_and_their_silence_is_unknown(
    server: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_question, "resolvers", lambda: [("127.0.0.1", 1), ("127.0.0.1", server.port)])
    assert error(look(made(check=f"dns://{NAME}"))) == 0
    monkeypatch.setattr(dns_question, "resolvers", lambda: [("127.0.0.1", 1)])
    sample = look(made(check=f"dns://{NAME}"))
    assert error(sample) is None
    assert "is not reached" in sample.why or "gives no answer" in sample.why


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"check": "dns://"}, "write dns://NAME"),
        ({"check": "dns://a b"}, "write dns://NAME"),
        ({"check": "dns://1.1.1.1:53/a"}, "write dns://NAME"),
        ({"record": "ANY"}, "should match pattern"),
        ({"resolver": "dns.example.org"}, "should match pattern"),
        ({"resolver": "300.1.1.1"}, "write 10.0.0.53"),
        ({"resolver": "10.0.0.53:99999"}, "has no port"),
        ({"answers": "here"}, "'here' is no answer of type A"),
        ({"answers": "192.0.2.1", "record": "AAAA"}, "is no answer of type AAAA"),
        ({"answers": []}, "at least 1 item"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(**({"check": f"dns://{NAME}"} | words))
    assert says in str(refused.value)
