"""The certificates that a TLS server shows, by libcurl."""

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import spoken
from paramedic.text.sanitize import one_line

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def shown_chain(host: str, port: int, timeout: timedelta) -> list["Certificate"]:
    """The certificates that the server shows, its own first, as it sends them: whether or not anybody trusts them.

    libcurl, as Python's own TLS gives the whole chain by a public name from 3.13 on only, and has no deadline for a whole
    handshake. Raises TemporaryError where none was shown in time, PermanentError where one is invalid or the host cannot
    be a name.
    """
    # They take a while to import, and every file that authors write loads this module; only a look pays.
    import pycurl
    from cryptography.x509 import load_pem_x509_certificate

    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.URL, f"https://{_authority(host)}:{port}/")
        curl.setopt(pycurl.CONNECT_ONLY, 1)  # nothing is sent over it
        curl.setopt(pycurl.OPT_CERTINFO, 1)
        curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 0)
        curl.setopt(pycurl.SSL_ENABLE_ALPN, 0)  # it need not be a web server
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.NOSIGNAL, 1)  # a look is taken in a thread
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout.total_seconds() * 1000)))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(timeout.total_seconds() * 1000)))
        curl.perform()
        certificates = curl.getinfo_raw(pycurl.INFO_CERTINFO)
    except pycurl.error as error:
        if error.args[0] == pycurl.E_OPERATION_TIMEDOUT:
            raise TemporaryError(f"no certificate within {spoken(timeout)}") from error
        raise TemporaryError(f"no certificate was shown: {one_line(curl.errstr() or str(error.args[1]))}") from error
    finally:
        curl.close()
    chain = [dict(fields).get(b"Cert", b"") for fields in certificates]
    try:
        return [load_pem_x509_certificate(text) for text in chain or [b""]]
    except ValueError as error:
        raise PermanentError(f"what {one_line(host)} shows is not a certificate: {one_line(str(error))}") from error


def _authority(host: str) -> str:
    """The host as it stands in a URL. Raises PermanentError."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return host.encode("idna").decode()
        except UnicodeError as error:
            raise PermanentError(f"this address cannot be asked: {one_line(str(error))}") from error
    return f"[{host}]" if address.version == 6 else host
