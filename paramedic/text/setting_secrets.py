"""Has the secrets among the settings redacted in everything that the process writes."""

import re

from pydantic import BaseModel, SecretStr

from paramedic.text.redaction import remember, remember_quoted

#: A part of a URL's path or query that may be its key: long, or of letters and digits together.
_URL_TOKEN = re.compile(r"[\w.~%-]{16,}|(?=[\w.~%-]{0,15}\d)(?=[\w.~%-]{0,15}[A-Za-z])[\w.~%-]{8,15}", re.ASCII)

#: Services carry their keys in the path of a channel's URL, whatever its scheme.
_CHANNEL_KEY = re.compile(r"[\w.~%-]{16,}")


def remember_all(value: object) -> None:
    """Have every secret in the value redacted from now on: itself, its password, the keys in its URL."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        remember(secret)
        remember(secret.removeprefix("whsec_"))
        login = secret.split("://", 1)[-1].rpartition("@")[0] if "://" in secret else secret
        remember_quoted(login.partition(":")[2])
        if secret.startswith(("http://", "https://")):
            remember_quoted(*_URL_TOKEN.findall(secret.split("://", 1)[1].partition("/")[2]))
    elif isinstance(value, dict):
        for item in value.values():
            remember_all(item)
    elif isinstance(value, BaseModel):
        for _, item in value:
            remember_all(item)
        if isinstance(url := getattr(value, "url", None), SecretStr):
            remember_quoted(*_CHANNEL_KEY.findall(url.get_secret_value()))
