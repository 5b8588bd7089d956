"""The wait before what failed is tried again: longer each time, up to a bound."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait after the first, second, … failure; the last for every later one."""

    seconds: tuple[float, ...]

    def after(self, earlier: int) -> float:
        """Seconds to wait after a failure, with the number of `earlier` ones in a row."""
        return self.seconds[min(earlier, len(self.seconds) - 1)]

    def __iter__(self) -> Iterator[float]:
        """The waits in their order, without end."""
        yield from self.seconds
        while True:
            yield self.seconds[-1]
