"""The certificate that a TLS server shows, whether or not anybody would trust it."""

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

from cryptography.x509 import load_der_x509_certificate

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import spoken
from paramedic.text.sanitize import one_line


def expires_at(host: str, port: int, timeout: timedelta) -> datetime:
    """Until when the server's own certificate is good.

    It is read, not believed: one that has run out, or that nobody trusts, has its date too. Raises TemporaryError where no
    certificate was shown in time, PermanentError where what was shown is none.
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
        raise PermanentError(f"what {one_line(host)} shows is no certificate: {one_line(str(error))}") from error
