"""A deployment: what somebody said or Paramedic saw was rolled out, and how it is read from a sender's JSON. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from paramedic.alerts.payload import moment
from paramedic.machine.clock import iso, spoken
from paramedic.text.nearest import nearest
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

#: The fields of a deployment that somebody tells of, each with how many characters it may have.
FIELDS: Mapping[str, int] = {
    "service": 200,
    "version": 200,
    "target": 400,
    "environment": 100,
    "at": 64,
    "by": 200,
    "link": 2000,
    "id": 200,
}

_NEEDED = ("service", "version")

#: How far the clock of who tells may be ahead of ours.
_AHEAD = timedelta(minutes=5)

#: What was told and what was seen of one version of one service within this time is one deployment.
_ONE = timedelta(minutes=15)

_WEB = re.compile(r"https?://[^\s/?#]+[^\s]*")


class BadDeployment(ValueError):
    """It cannot be taken: the field, what is wrong with it, what is allowed."""

    def __init__(self, field: str, what: str, allowed: str) -> None:
        super().__init__(f"{field}: {what}; allowed: {allowed}")
        self.field, self.what, self.allowed = field, what, allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What was deployed, and when. `told_by`: the sender or person who told of it; None: Paramedic saw it itself."""

    id: str
    service: str
    version: str
    at: datetime
    target: str | None = None
    environment: str | None = None
    by: str | None = None
    link: str | None = None
    told_by: str | None = None

    def words(self, *, service: str) -> str:
        """What was deployed, for an incident of this service."""
        what = self.version if self.service == service else f"{self.service} {self.version}"
        where = "" if self.target is None else f" on {self.target}"
        facts = [
            *([self.environment] if self.environment else []),
            *([f"by {self.by}"] if self.by else []),
            f"told by {self.told_by}" if self.told_by else "seen by Paramedic",
            *([self.link] if self.link else []),
        ]
        return f"{what}{where} ({', '.join(facts)})"


def parsed(given: Mapping[str, Any], *, told_by: str, now: datetime) -> Deployment:
    """The deployment that a sender's JSON object tells of. Raises BadDeployment.

    Without `at` it is of now. Without `id` it has one made of its other fields, so that the same told twice is one; where there
    is no `at` either, of the hour.
    """
    for name in given:
        if name not in FIELDS:
            allowed = nearest(name, sorted(FIELDS), "there are") or ", ".join(FIELDS)
            raise BadDeployment(one_line(name)[:60], "is no field of a deployment", allowed)
    texts = {name: _text(name, given.get(name)) for name in FIELDS if name != "at"}
    for name in _NEEDED:
        if texts[name] is None:
            raise BadDeployment(name, "is missing", "a text that is not empty")
    link = texts["link"]
    if link is not None and not _WEB.fullmatch(link):
        raise BadDeployment("link", "is no address of a page", "http://… or https://…")
    at = _at(given.get("at"), now)
    service, version = texts["service"] or "", texts["version"] or ""
    when = f"{now:%Y-%m-%dT%H}" if at is None else iso(at)
    others = (service, version, texts["target"], texts["environment"], when)
    made = hashlib.sha256("\0".join(word or "" for word in others).encode("utf-8", "replace")).hexdigest()[:32]
    return Deployment(
        id=texts["id"] or made,
        service=service,
        version=version,
        at=at or now,
        target=texts["target"],
        environment=texts["environment"],
        by=texts["by"],
        link=link,
        told_by=told_by,
    )


def seen(service: str, target: str, version: str, at: datetime) -> Deployment:
    """A deployment that Paramedic saw at a target itself. What is seen twice has one id."""
    key = f"{target}\0{version}\0{iso(at)}"
    made = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]
    return Deployment(id=f"seen:{made}", service=service, version=version, at=at, target=target)


def _text(name: str, value: Any) -> str | None:
    """The field's text on one line; None where it is not given, or empty. A number is the text that it was written as."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadDeployment(name, "is no text", f"a text of at most {FIELDS[name]} characters")
    text = redact(one_line(value))
    if len(text) > FIELDS[name]:
        raise BadDeployment(name, f"has {len(text)} characters", f"{FIELDS[name]} at most")
    return text or None


def _at(value: Any, now: datetime) -> datetime | None:
    if value in (None, ""):
        return None
    found = moment(value, "at", [])
    if found is None:
        allowed = "2026-01-31T09:30:00Z, or seconds or milliseconds since 1970, from 2000 on; leave it out for now"
        raise BadDeployment("at", "is no time", allowed)
    if found > now + _AHEAD:
        raise BadDeployment(
            "at", f"is {spoken(found - now)} from now, in the future", f"at most {spoken(_AHEAD)} ahead"
        )
    return found


def together(found: Iterable[Deployment]) -> list[Deployment]:
    """The newest first; what was told and was also seen is there once, as it was told."""
    every = sorted(found, key=lambda one: one.at, reverse=True)
    told = [one for one in every if one.told_by is not None]
    return [one for one in every if one.told_by is not None or not any(_is_of(one, other) for other in told)]


def _is_of(seen_one: Deployment, told: Deployment) -> bool:
    """Whether what was seen is what was told of: the version may be named with or without its `v`, or a path."""
    same_place = seen_one.service == told.service and told.target in (None, seen_one.target)
    return same_place and abs(seen_one.at - told.at) <= _ONE and _bare(seen_one.version) == _bare(told.version)


def _bare(version: str) -> str:
    return version.rpartition("/")[2].rpartition(":")[2].removeprefix("v").lower()


def environments_agree(one: str | None, other: str | None) -> bool:
    """Whether two words for an environment may mean the same: `prod` is `production`, and one that is not said is any."""
    if not one or not other:
        return True
    first, second = sorted((one.casefold(), other.casefold()), key=len)
    return second.startswith(first)


@dataclass(frozen=True, slots=True)
class Preceding:
    """What was deployed before an incident began: for its messages."""

    began: datetime
    within: timedelta
    found: Sequence[Deployment] = ()  # the newest first
    last: Deployment | None = None  # the last one before that time, where none was in it
    unseen: str = ""  # why the target's releases could not be looked at

    def before(self, one: Deployment) -> str:
        """How long before the breach, or after it."""
        apart = self.began - one.at
        whole = timedelta(seconds=round(abs(apart).total_seconds()))
        if not whole:
            return "as it began"
        return f"{spoken(whole)} {'before' if apart > timedelta() else 'after'} it began"
