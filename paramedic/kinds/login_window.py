"""Failed log-ins of a sliding window, counted for each address: bounded, however many addresses there are."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from paramedic.kinds.failed_logins import Failure

#: So many addresses are counted at once. Of more, those are forgotten that failed longest ago.
ADDRESSES = 20_000

#: Of each so many failures, and of all so many connections that were seen.
_EACH = 1000
_CONNECTIONS = 20_000


@dataclass
class LoginWindow:
    """Counts failures by address. Times are seconds since the epoch, by the clock of the log's machine."""

    addresses: int = ADDRESSES
    forgotten: int = 0  # addresses that had to make room
    _failed: "OrderedDict[str, deque[tuple[float, int]]]" = field(default_factory=OrderedDict)
    _counted: "OrderedDict[tuple[str, str], float | None]" = field(default_factory=OrderedDict)

    def add(self, whose: str, failure: Failure, at: float) -> None:
        """Count a failure, once for what several lines say of one connection."""
        connection = (whose, failure.connection) if failure.connection is not None else None
        if connection is not None and connection in self._counted:
            alone_at = self._counted[connection]
            if failure.accompanies:
                return
            if alone_at is not None:  # what stood beside it came first, and was counted in its place
                self._take_back(whose, alone_at)
        if connection is not None:
            self._counted[connection] = at if failure.accompanies else None
            self._counted.move_to_end(connection)
            if len(self._counted) > _CONNECTIONS:
                self._counted.popitem(last=False)
        failed = self._failed.setdefault(whose, deque(maxlen=_EACH))
        failed.append((at, failure.count))
        self._failed.move_to_end(whose)
        if len(self._failed) > self.addresses:
            self._failed.popitem(last=False)
            self.forgotten += 1

    def _take_back(self, whose: str, at: float) -> None:
        failed = self._failed.get(whose)
        if failed is not None and (at, 1) in failed:
            failed.remove((at, 1))

    def since(self, begins: float) -> Mapping[str, int]:
        """How often each address has failed since then; none that did not."""
        counts = ((whose, sum(count for at, count in failed if at >= begins)) for whose, failed in self._failed.items())
        return {whose: count for whose, count in counts if count}

    def forget(self, before: float) -> None:
        """Forget what was before: no window reaches there any more."""
        for whose in list(self._failed):
            failed = self._failed[whose]
            while failed and failed[0][0] < before:
                failed.popleft()
            if not failed:
                del self._failed[whose]
