"""Where the time of one HTTP request went, by the moments that libcurl notes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Moments of a request, in seconds since its begin; 0 for one that did not come."""

    named: float  # the name was resolved
    connected: float
    secured: float  # the TLS handshake was done; 0 of http:// too
    sent: float  # the request was about to be sent
    first_byte: float
    ended: float  # it came to its end, however that was
    secure: bool  # https://
    address: str = ""  # whom it was connected to
    size: int = 0  # bytes of the body that came

    def phases(self) -> list[tuple[str, float, bool]]:
        """Each phase that began: its name, its duration in seconds, and whether it ended."""
        moments = [("name (DNS)", self.named), ("connect", self.connected)]
        moments += [("TLS", self.secured)] if self.secure else []
        moments += [("first byte", self.first_byte)]
        found: list[tuple[str, float, bool]] = []
        before = 0.0
        for name, moment in moments:
            if not moment:
                return [*found, (name, self.ended - before, False)]
            found.append((name, max(moment - before, 0.0), True))
            before = moment
        return [*found, ("body", max(self.ended - before, 0.0), True)]
