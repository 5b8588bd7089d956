"""The result of reading a sender's body: its alerts, and the parts that could not be read."""

from dataclasses import dataclass

from paramedic.alerts.alert import Alert


class BadPayload(Exception):
    """The body as a whole cannot be read: the field, what is wrong, what is allowed."""

    def __init__(self, field: str, what: str, allowed: str, *, readable: bool) -> None:
        """`readable`: it is JSON of the wrong shape (422); else it is not JSON at all (400)."""
        super().__init__(f"{field}: {what}; {allowed}")
        self.field, self.what, self.allowed, self.readable = field, what, allowed, readable


@dataclass(frozen=True, slots=True)
class Bad:
    """A part of a group that cannot be read: its body, and the wrong field. In a flood, `count` alerts share one body."""

    body: str
    error: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """The alerts of a body, the parts that could not be read, and how many alerts its sender says it left out."""

    alerts: tuple[Alert, ...]
    bad: tuple[Bad, ...] = ()
    truncated: int = 0
