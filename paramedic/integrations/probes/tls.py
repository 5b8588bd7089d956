"""The certificates that a TLS server presents, trusted or not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.text.address import host_and_port
from paramedic.text.quantity import Unit
from paramedic.text.sanitize import one_line
from paramedic.transports.tls_chain import shown_chain

if TYPE_CHECKING:
    from cryptography.x509 import Name

#: A name in a certificate is cut to this many characters.
_NAME_LIMIT = 80

CHECK = ("tls://HOST:PORT",)
ABOUT = "how long all certificates that the server shows, its own and its authorities', are still good, trusted or not"
METRICS = (
    Metric(
        "expires_in",
        (Unit.SECONDS,),
        below=True,
        warning="21d",
        critical="7d",
        at_most="36500d",
        held_for=timedelta(0),  # what ebbs and flows needs time to be believed, a date does not
    ),
)


def subject(written: Written) -> str:
    """The address itself. Raises ValueError where it has no host or no port."""
    host_and_port(written.check.replace("{host}", "host"))
    return written.check


def look(question: Question) -> Seen:
    """The remaining validity of what the server shows. Raises TemporaryError or PermanentError where it shows nothing."""
    first = first_to_end(*host_and_port(question.where), question.timeout)
    left = first.ends - question.now
    is_was = "is" if left > timedelta(0) else "was"
    return {"expires_in": left.total_seconds()}, f"{first.whose} {is_was} good until {first.ends:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class FirstToEnd:
    """The certificate of a chain that ends first, and whose it is, in words."""

    ends: datetime
    whose: str


def first_to_end(host: str, port: int, timeout: timedelta) -> FirstToEnd:
    """Of the chain that the server shows, its own certificate and those of the authorities over it, the first to end.

    A reader that trusts what signed the last one refuses all of it once one has ended. They are read, not verified: an expired
    or untrusted one has a date too. Raises TemporaryError where none was shown in time, PermanentError where one is invalid.
    """
    chain = shown_chain(host, port, timeout)
    place, first = min(enumerate(chain), key=lambda numbered: numbered[1].not_valid_after_utc)
    name = one_line(_name(first.subject))[:_NAME_LIMIT]
    if place == 0:
        return FirstToEnd(first.not_valid_after_utc, f"the certificate ({name})")
    which = f"certificate {place + 1} of the {len(chain)} in its chain"
    return FirstToEnd(first.not_valid_after_utc, f"the authority's certificate ({name}; {which})")


def _name(subject: "Name") -> str:
    from cryptography.x509.oid import NameOID  # every file that authors write loads this module; only a look pays

    common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else subject.rfc4514_string() or "without a name"
