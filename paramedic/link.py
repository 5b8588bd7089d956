"""Signed, expiring links: one per recipient, and a page on GET, because mail scanners follow links."""

from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer


class BadLink(Exception):
    """The link is not ours, was changed, or has expired; the message says which."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What an acknowledgement link says: this person takes this incident of this store."""

    store: str
    incident: int
    person: str


_SALT = "paramedic acknowledgement"


def sign(key: bytes, what: Acknowledgement) -> str:
    """The token of a link, safe in a URL's path."""
    return URLSafeTimedSerializer(key, salt=_SALT).dumps([what.store, what.incident, what.person])


def read(key: bytes, token: str, expires: timedelta) -> Acknowledgement:
    """What the token says. Raises BadLink, in words for the person who clicked it."""
    try:
        said = URLSafeTimedSerializer(key, salt=_SALT).loads(token, max_age=int(expires.total_seconds()))
    except SignatureExpired as error:
        raise BadLink("this link has expired; use `paramedic incident ack` or the link of a newer message") from error
    except BadSignature as error:
        raise BadLink("this link is not one of ours, or was changed on its way") from error
    match said:
        case [str(store), int(incident), str(person)]:
            return Acknowledgement(store, incident, person)
        case _:
            raise BadLink("this link is signed by us and says nothing that we know")
