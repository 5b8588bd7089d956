"""One reader of mail addresses: what oncall.yaml takes can be sent, to the domain that a mail server knows."""

from typing import Self

import pytest
from pydantic import SecretStr

from paramedic.errors import PermanentError
from paramedic.integrations.channels.email import Settings, Teller, address
from paramedic.kinds.message import Message
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.text.yaml_document import BadDocument

PEOPLE = """\
people:
  ada: {name: Ada, %s}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies: {default: {rungs: [{tell: oncall}]}}
"""

SENT = {
    "ada@example.org": "ada@example.org",
    "ada@localhost": "ada@localhost",
    "ada+oncall@EXAMPLE.org": "ada+oncall@EXAMPLE.org",
    "o'neil@example.org": "o'neil@example.org",
    "ada@bücher.example": "ada@xn--bcher-kva.example",
    "ada@straße.example": "ada@xn--strae-oqa.example",  # IDNA2003 would send it to another domain
    "ada@Παράδειγμα.example": "ada@xn--hxajbheg2az3al.example",
    "ada@[127.0.0.1]": "ada@[127.0.0.1]",
}
REFUSED = {
    "jürgen@example.org": "before the @ is in ASCII",
    "a..b@example.org": "before the @",
    ".a@example.org": "before the @",
    "{owner}@example.org": "before the @",
    f"{'a' * 65}@example.org": "before the @",
    "ada@-x.org": "-x.org is not a domain",
    "ada@x..org": "is not a domain",
    "ada@xxx(300).org": "is not a domain",
    "ada@bü\u200bcher..example": "cannot be written in ASCII",
    f"ada@{'a' * 64}.org": "is not a domain",
    "ada@[host]": "is not the address of a machine",
    "ada@b@example.org": "has one @",
    "ada": "has one @",
}


class _Sent(Exception):
    pass


def recipient(to: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The recipient of the envelope, and the header of the letter, as they would leave."""

    class Server:
        def sendmail(self, _sender: str, to: list[str], letter: bytes) -> None:
            header = next(line for line in letter.decode("ascii").split("\r\n") if line.startswith("To: "))
            raise _Sent(to[0], header.removeprefix("To: "))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    teller = Teller(Settings(smtp_url=SecretStr("smtp://127.0.0.1:1"), mail_from="Paramedic <p@example.org>"))
    monkeypatch.setattr(teller, "_connected", Server)
    with pytest.raises(_Sent) as sent:
        teller.send(Message(id="1", recipient=to, subject="s", text="t"))
    envelope, header = sent.value.args
    return envelope, header


@pytest.mark.parametrize("way", ["email: '%s'", "ways: ['email:%s']"])
@pytest.mark.parametrize("to", SENT)
def test_a_mailbox_that_oncall_yaml_takes_leaves_in_ascii(to: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = to.replace("'", "''")
    [method] = parse_oncall(PEOPLE % (way % quoted), "oncall.yaml").people["ada"].contact_methods
    assert recipient(method.to, monkeypatch) == (SENT[to], SENT[to])


@pytest.mark.parametrize("way", ["email: '%s'", "ways: ['email:%s']"])
@pytest.mark.parametrize("to", REFUSED)
def test_one_that_could_not_be_sent_is_refused_where_it_is_written(to: str, way: str) -> None:
    with pytest.raises(BadDocument) as caught:
        parse_oncall(PEOPLE % (way % to), "oncall.yaml")
    problems = [str(problem) for problem in caught.value.problems]
    assert any(problem.startswith("oncall.yaml:2:") and REFUSED[to] in problem for problem in problems), problems
    with pytest.raises(ValueError, match="."):
        address(to)


def test_the_sender_s_own_address_is_read_the_same_way() -> None:
    with pytest.raises(PermanentError, match="not an e-mail address"):
        Teller(Settings(smtp_url=SecretStr("smtp://127.0.0.1:1"), mail_from="p..q@example.org"))
