"""The certificate that a TLS server presents, trusted or not."""

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

from cryptography.x509 import load_der_x509_certificate

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, Written
from paramedic.machine.clock import spoken
from paramedic.text.address import host_and_port
from paramedic.text.quantity import Unit
from paramedic.text.sanitize import one_line

CHECK = ("tls://HOST:PORT",)
ABOUT = "how long the certificate is still good, whether or not anybody trusts it"
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
    """The remaining validity of the certificate. Raises TemporaryError or PermanentError where none was presented."""
    ends = expires_at(*host_and_port(question.where), question.timeout)
    return {
        "expires_in": (ends - question.now).total_seconds()
    }, f"the certificate is good until {ends:%Y-%m-%d %H:%M} UTC"


def expires_at(host: str, port: int, timeout: timedelta) -> datetime:
    """The expiry of the server's own certificate.

    It is read, not verified: an expired or untrusted one has a date too. Raises TemporaryError where no
    certificate was presented in time, PermanentError where it is invalid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent over it
    until = time.monotonic() + timeout.total_seconds()
    try:
        with socket.create_connection((host, port), timeout.total_seconds()) as line:
            line.settimeout(max(0.001, until - time.monotonic()))
            with context.wrap_socket(line, server_hostname=host) as secured:
                shown = secured.getpeercert(binary_form=True)
    except TimeoutError as error:
        raise TemporaryError(f"no certificate within {spoken(timeout)}") from error
    except OSError as error:  # ssl.SSLError is one
        raise TemporaryError(f"no certificate was shown: {one_line(str(error))}") from error
    except (UnicodeError, OverflowError, ValueError) as error:
        raise PermanentError(f"this address cannot be asked: {one_line(str(error))}") from error
    try:
        return load_der_x509_certificate(shown or b"").not_valid_after_utc.astimezone(UTC)
    except ValueError as error:
        raise PermanentError(f"what {one_line(host)} shows is not a certificate: {one_line(str(error))}") from error
