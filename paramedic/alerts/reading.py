"""What a body of a sender says: its alerts, and what of it could not be read."""

from dataclasses import dataclass

from paramedic.alerts.alert import Alert


class BadPayload(Exception):
    """The body as a whole cannot be read: which field, what is wrong, what is allowed."""

    def __init__(self, field: str, what: str, allowed: str, *, readable: bool) -> None:
        """`readable`: it is JSON, of the wrong shape (422); else it is no JSON at all (400)."""
        super().__init__(f"{field}: {what}; {allowed}")
        self.field, self.what, self.allowed, self.readable = field, what, allowed, readable


@dataclass(frozen=True, slots=True)
class Bad:
    """What cannot be read of a group: its body, and the field that is wrong. Of a flood, `count` alerts are one body."""

    body: str
    error: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body says: its alerts, what could not be read among them, and how many its sender says it left out."""

    alerts: tuple[Alert, ...]
    bad: tuple[Bad, ...] = ()
    truncated: int = 0
