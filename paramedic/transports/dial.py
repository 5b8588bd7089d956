"""A connection that is opened and closed again, with nothing sent: whether an address can be reached, and is trusted."""

import socket
import ssl

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.open_transaction import must_be_closed


def dial(host: str, port: int, seconds: float, trust: ssl.SSLContext | None = None) -> None:
    """Connect, with TLS where `trust` says which certificates count, and close.

    Each step may take `seconds`. Raises TemporaryError if nothing answers, PermanentError if its certificate is not trusted.
    """
    must_be_closed("an address is dialled")
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), seconds) as line:
            if trust is not None:
                with trust.wrap_socket(line, server_hostname=host):
                    pass
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"the certificate of {where} is not trusted: {error.verify_message}") from error
    except (OSError, UnicodeError) as error:
        raise TemporaryError(f"{where} does not answer: {error}") from error
