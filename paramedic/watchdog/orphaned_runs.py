"""Orphaned runs: those of a responder that died, which Prefect would show as Running indefinitely."""

from paramedic.errors import TemporaryError
from paramedic.store import Store, claims, leases
from paramedic.watchdog.prefect_status import PrefectStatus


class Runs:
    """The look at every run whose responder has not renewed its lease."""

    def __init__(self, store: Store, prefect: PrefectStatus) -> None:
        self._store = store
        self._prefect = prefect

    def look(self) -> None:
        """Set orphaned runs to Crashed in Prefect. One whose claim is live goes on by itself, and is left alone.

        Its incident is decided by its claim. Raises StoreUnavailable.
        """
        if self._prefect.is_of_another_store(self._store):
            return  # whose watchdog looks at them
        with self._store.read() as tx:
            left = [(name, holder) for name, holder in leases.run_out(tx, leases.RUN) if not claims.is_holder(tx, name)]
        for name, holder in left:
            try:
                self._prefect.crash(name.removeprefix(leases.RUN), f"its responder {holder} has died")
            except TemporaryError:
                continue  # the next look tells it
            with self._store.write() as tx:
                leases.release(tx, name, holder=holder)
