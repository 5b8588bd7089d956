"""The decorator that makes a function a scheduled flow: one round of a group at a time, no late rounds, a named end state."""

import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State as PrefectState
from prefect.runtime import flow_run
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field

from paramedic.catalog.library import Library
from paramedic.change.run import Cancelled, GivenUp
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine import parent_death
from paramedic.machine.clock import boottime, spoken, utc_now
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, Tx, leases
from paramedic.text.redaction import hush_logging
from tasks import run_cache
from tasks.prefect_api import STOPPED, own_state, rename
from tasks.run_log import say

log = logging.getLogger(__name__)

#: How often a lease that somebody else has is asked for again, and how often our own state is read.
_ASK_AGAIN_SECONDS, _LOOK_SECONDS = 0.5, 5.0

#: How long after its end a round may still record what it has begun; then its lease is left to run out.
_GRACE = timedelta(seconds=10)


class Period(BaseModel):
    """The parameter of a round: ids and a number, nothing that Prefect could render as a template."""

    model_config = ConfigDict(extra="forbid")

    group: str = Field(default="default", pattern=r"^[a-z0-9-]{1,40}$", description="what this schedule is about")
    every: int = Field(default=60, ge=1, le=86_400, description="seconds from one round to the next")


@dataclass
class Round:
    """One run of a scheduled flow, until the next one is due. No other run of the same flow and group has its round."""

    settings: Settings
    store: Store
    library: Library
    group: str
    flow_run: str
    lease: str
    ends_at: float  # of `boottime()`
    _looked_at: float = field(default=0.0, init=False)

    @property
    def holder(self) -> str:
        """The run's name in the lease."""
        return f"run:{self.flow_run}"

    def still_ours(self, tx: Tx) -> None:
        """Call in the transaction that writes. Raises GivenUp where another run has the round."""
        if not leases.held(tx, self.lease, holder=self.holder):
            raise GivenUp(f"another run has {self.lease}: this one stood still for too long")

    def name_run(self, words: str) -> None:
        """Name the run in Prefect for its group and these words, instead of Prefect's own two; nothing waits for it."""
        rename(self.flow_run, f"{self.lease.replace('/', ' · ')} · {words}")

    def go_on(self) -> None:
        """Call regularly. Raises Cancelled where an operator cancelled the run; asks Prefect every few seconds."""
        if boottime() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = boottime()
            if own_state(self.flow_run) in STOPPED:
                raise Cancelled("an operator cancelled the run in Prefect")


Story = Callable[[Round], str]


def scheduled(story: Story) -> Flow[[Period], PrefectState[Any]]:
    """Make the function a Prefect flow with the single parameter `run`; what it returns is the message of `Done`.

    The round is a lease in the store: a run that does not get it before its time is over is `Skipped`. One that comes a whole
    period late has the rest of the period that it comes in, if nobody else has that, and is `Skipped` at once otherwise: after
    a stop there is no flood of them, and where every run comes late one is at work nevertheless. A round that another run
    took over ends as `GivenUp`. What the store or an author's file keeps from working is `Failed`, in words; the next round
    is another try.
    """
    name = story.__name__.replace("_", "-")

    def run_story(run: Period) -> PrefectState[Any]:
        hush_logging()
        if parent_death.VARIABLE in os.environ:
            parent_death.die_with_parent()
        due = flow_run.scheduled_start_time
        # Prefect's moment is of a class of its own, whose differences do not know every operator of a timedelta.
        late = timedelta(seconds=max(0.0, (utc_now() - due).total_seconds() if due is not None else 0.0))
        try:
            return _state_of(story, _load(name, run, late), late=late if late >= timedelta(seconds=run.every) else None)
        except GivenUp as error:
            return Completed(name="GivenUp", message=str(error))
        except Cancelled as error:
            return CancelledState(message=str(error))
        except (TemporaryError, PermanentError) as error:
            return Failed(name="Failed", message=str(error))

    run_story.__name__ = story.__name__
    run_story.__qualname__ = story.__qualname__
    run_story.__module__ = story.__module__
    run_story.__doc__ = story.__doc__
    # Prefect builds the run form from the signature.
    run_story.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("run", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Period)]
    )
    return flow(
        name=name, retries=0, persist_result=False, result_storage=run_cache.results(), validate_parameters=True
    )(run_story)


def _load(name: str, run: Period, late: timedelta) -> Round:
    """The round, until the next one is due, and for half a period at least: less would be too little to sample in."""
    every = timedelta(seconds=run.every)
    remains = max(every - late % every, every / 2)
    ends_at = boottime() + remains.total_seconds()
    settings = run_cache.current_settings()
    return Round(
        settings=settings,
        store=run_cache.store(settings.store()),
        library=run_cache.library(settings),
        group=run.group,
        flow_run=str(flow_run.id),
        lease=f"{name}/{run.group}",
        ends_at=ends_at,
    )


def _state_of(story: Story, this: Round, *, late: timedelta | None) -> PrefectState[Any]:
    """`late` is how late a run comes after whose time the next one was due."""
    if not _taken(this, waits=late is None):
        if late is not None:
            return Completed(name="Skipped", message=f"it was due {spoken(late)} ago; the next has been due since")
        return Completed(name="Skipped", message=f"another run had {this.lease} until this one's time was over")
    keeper = _Keeper(this)
    keeper.start()
    try:
        return Completed(name="Done", message=story(this))
    finally:
        keeper.end()
        this.store.close()


def _taken(this: Round, *, waits: bool) -> bool:
    while boottime() < this.ends_at:
        this.go_on()
        with this.store.write() as tx:
            before = leases.holder(tx, this.lease)
            taken = leases.take(tx, this.lease, holder=this.holder, lease=this.settings.lease)
            silent = None if before is None else tx.now - before.until
        if taken:
            if before is not None and silent is not None and before.holder != this.holder:
                _say_what_was_lost(before.holder, silent + this.settings.lease)
            return True
        if not waits:
            return False
        time.sleep(_ASK_AGAIN_SECONDS)
    return False


def _say_what_was_lost(holder: str, silent: timedelta) -> None:
    """One that ends gives its lease back, whatever becomes of it: this one was killed, or stood still."""
    run = holder.removeprefix("run:")
    say(
        f"the round before this one (flow run {run}) was killed or stood still, and did nothing for up to {spoken(silent)}; "
        "the state of its run says how it ended"
    )


class _Keeper(threading.Thread):
    """Renews the lease while the round lasts, with a limit: a run that hangs loses it."""

    def __init__(self, this: Round) -> None:
        super().__init__(name="lease", daemon=True)
        self._this = this
        self._done = threading.Event()

    def run(self) -> None:
        this = self._this
        while not self._done.wait(this.settings.renew.total_seconds()):
            if boottime() > this.ends_at + _GRACE.total_seconds():
                return
            try:
                with this.store.write() as tx:
                    if not leases.held(tx, this.lease, holder=this.holder):
                        return
                    leases.take(tx, this.lease, holder=this.holder, lease=this.settings.lease)
            except StoreUnavailable as error:
                log.warning("the lease %s could not be renewed: %s", this.lease, error)

    def end(self) -> None:
        """Stop renewing, and release the lease. If the store does not answer, it lapses."""
        self._done.set()
        self.join()
        try:
            with self._this.store.write() as tx:
                leases.release(tx, self._this.lease, holder=self._this.holder)
        except StoreUnavailable as error:
            log.warning("the lease %s could not be released, and will expire: %s", self._this.lease, error)
