"""Missing processes: those of any machine that ended without a word, and were not started again."""

from collections.abc import Callable, Sequence

from paramedic.machine.clock import spoken
from paramedic.settings import Settings
from paramedic.store import Store, messages, running_processes
from paramedic.store.running_processes import RENEWALS, Running


class Missing:
    """The look at the processes that run on the store. `steady` is a clock in seconds that never jumps."""

    def __init__(self, store: Store, settings: Settings, steady: Callable[[], float]) -> None:
        self._store = store
        self._lease = running_processes.lease_of(settings.silent_after)
        self._steady = steady
        self._since: float | None = None

    def look(self) -> None:
        """Report each process that the store has not heard of for the time of its lease, once. Raises StoreUnavailable.

        It is given time for two renewals more: after an outage of the store or a jump of its clock those that live show
        themselves, and those of one machine that died together are reported together.
        """
        since, self._since = self._since, None
        with self._store.read() as tx:
            found = running_processes.any_missed(tx)
        if not found:
            return
        self._since = self._steady() if since is None else since
        if self._steady() - self._since < 2 * self._lease.total_seconds() / RENEWALS:
            return
        with self._store.write() as tx:
            gone, here = running_processes.missed(tx), running_processes.counted(tx)
            for place in sorted({process.place for process in gone}):
                lost = [process for process in gone if process.place == place]
                subject = f"{place.partition(':')[0]}: {_named(lost)} gone"
                messages.queue_internal_alert(
                    tx, subject=subject, body=self._words(lost, here), same_within_minutes=1, times=0
                )

    def _words(self, lost: Sequence[Running], here: dict[str, int]) -> str:
        machine, _, folder = lost[0].place.partition(":")
        what = (
            f"Nothing has been heard of it for {spoken(self._lease)}, on {machine} ({folder}), and it did not say that it "
            "ends. What it had begun is taken up by others of its kind. On this store there are now:"
        )
        left = [f"- {process.role}: {here[process.role] or _NONE}" for process in lost]
        return "\n".join([what, *left])


_NONE = "NONE: what it does is not done until one runs again"


def _named(lost: Sequence[Running]) -> str:
    roles = [process.role for process in lost]
    return f"{roles[0]} is" if len(roles) == 1 else f"{', '.join(roles[:-1])} and {roles[-1]} are"
