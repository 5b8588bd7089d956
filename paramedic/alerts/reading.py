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
class Aside:
    """What a sender posts beside alerts (a subscription, a test, a note on an incident): its body, and what it is.

    It is kept and asks for nobody, unless `tell`: then a person is told once, since something is to be done about it.
    """

    body: str
    what: str
    tell: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The alerts of a body, the parts that could not be read, how many alerts its sender says it left out, and the asides."""

    alerts: tuple[Alert, ...] = ()
    bad: tuple[Bad, ...] = ()
    truncated: int = 0
    asides: tuple[Aside, ...] = ()
