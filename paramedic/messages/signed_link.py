"""Signed, expiring links: one per recipient; a GET only shows a page, because mail scanners follow links."""

from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer


class BadLink(Exception):
    """The link is not ours, was changed, or has expired; the message says which."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The content of an acknowledgement link: this person takes this incident of this store."""

    store: str
    incident: int
    person: str


@dataclass(frozen=True, slots=True)
class Approving:
    """The content of an approval link: this person is asked for this approval of this store."""

    store: str
    approval: int
    person: str


_SALT = "paramedic acknowledgement"
_APPROVAL_SALT = "paramedic approval"


def sign(key: bytes, what: Acknowledgement) -> str:
    """The signed token of an acknowledgement link, safe in a URL's path."""
    return URLSafeTimedSerializer(key, salt=_SALT).dumps([what.store, what.incident, what.person])


def read(key: bytes, token: str, expires: timedelta) -> Acknowledgement:
    """The verified content of the token. Raises BadLink, in words for the person who clicked it."""
    return Acknowledgement(*_payload(key, token, expires, _SALT))


def sign_approval(key: bytes, what: Approving) -> str:
    """The signed token of an approval link, valid for nothing else."""
    return URLSafeTimedSerializer(key, salt=_APPROVAL_SALT).dumps([what.store, what.approval, what.person])


def read_approval(key: bytes, token: str, expires: timedelta) -> Approving:
    """The verified content of the token. Raises BadLink, in words for the person who clicked it."""
    return Approving(*_payload(key, token, expires, _APPROVAL_SALT))


def _payload(key: bytes, token: str, expires: timedelta, salt: str) -> tuple[str, int, str]:
    try:
        payload = URLSafeTimedSerializer(key, salt=salt).loads(token, max_age=int(expires.total_seconds()))
    except SignatureExpired as error:
        raise BadLink("this link has expired; use the link of a newer message, or `paramedic incident`") from error
    except BadSignature as error:
        raise BadLink("this link is not one of ours, or was changed on its way") from error
    match payload:
        case [str(store), int(number), str(person)]:
            return store, number, person
        case _:
            raise BadLink("this link is signed by us and says nothing that we know")
