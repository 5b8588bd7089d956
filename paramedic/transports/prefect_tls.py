"""How the certificate of a Prefect API is verified: by the same variables as in Prefect's own client.

Prefect settings reference: "api.ssl_cert_file", "api.tls_insecure_skip_verify". The environment counts, not a profile of
Prefect's: reading that would need Prefect, which takes seconds to import.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx

from paramedic.errors import PermanentError

SKIP_VERIFY = "PREFECT_API_TLS_INSECURE_SKIP_VERIFY"
CERT_FILE = "PREFECT_API_SSL_CERT_FILE"

#: What Prefect's own client uses where CERT_FILE is not set.
_FALLBACK = "SSL_CERT_FILE"

#: The values that Prefect's settings (pydantic) read as true.
_TRUE = {"1", "on", "t", "true", "y", "yes"}


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether certificates are verified, and by which file of authorities; `file` None: by the public ones (certifi)."""

    file: str | None = None
    variable: str = CERT_FILE  # that names the file
    skipped: bool = False

    @classmethod
    def configured(cls, env: Mapping[str, str] = os.environ) -> "Verification":
        """The verification that these variables ask for."""
        if env.get(SKIP_VERIFY, "").strip().lower() in _TRUE:
            return cls(skipped=True)
        for variable in (CERT_FILE, _FALLBACK):
            if env.get(variable):
                return cls(env[variable], variable)
        return cls()

    def context(self) -> ssl.SSLContext:
        """The context for a connection. Raises PermanentError where the file cannot be read."""
        if self.skipped:
            return _context(None, verify=False)
        try:
            return _context(self.file, verify=True)
        except OSError as error:  # ssl.SSLError is one
            raise PermanentError(
                f"{self.variable}: {self.file} holds no certificates to verify Prefect's by: {error}"
            ) from error

    def __str__(self) -> str:
        """What is verified, and by what, as a sentence's part."""
        if self.skipped:
            return f"its certificate is not verified ({SKIP_VERIFY} is set): whoever answers at its address is believed"
        if self.file is None:
            return f"its certificate is verified by the public authorities ({CERT_FILE} names a file with others)"
        return f"its certificate is verified by {self.file} ({self.variable})"


@cache
def _context(file: str | None, *, verify: bool) -> ssl.SSLContext:
    """One for all clients of the process: reading the public authorities takes 30 ms."""
    if file is not None:
        return ssl.create_default_context(cafile=file)
    return httpx.create_ssl_context(verify=verify, trust_env=False)
