"""A playbook in process, on a shop that fails."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from databases import Clock
from deployed_releases import Deployed
from failing_shop import FEW, MANY, RUNBOOK, SERVICES, TARGET, Shop
from incident_states import PEOPLE
from playbook_runs import playbook_run
from prefect.tasks import Task
from store_states import alert

from paramedic.catalog.library import open_library
from paramedic.change import claim_keeper, exclusive, guarded
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.doors import reading
from paramedic.integrations.targets import supervisord
from paramedic.kinds.process_target import process_identity
from paramedic.settings import Settings
from paramedic.store import Store, attempts, checks, incidents, lifecycle
from paramedic.store.runbook_versions import Plan
from tasks import act, detect, verify


@pytest.fixture
def shop(timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    folder = Deployed(tmp_path / "app")
    folder.deploy("v6", healthy=True, reversible=True)
    folder.deploy("v7", reversible=True)
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "services.yaml").write_text(SERVICES.replace("RELEASES", str(folder.folder)))
    (books / "oncall.yaml").write_text(PEOPLE)
    monkeypatch.setattr(Task, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs))
    for module in (guarded, exclusive, claim_keeper, verify, detect):
        monkeypatch.setattr(module, "boottime", clock.steady)

    def made(*, remedies: str = "[rollback, restart]", errors: list[int] = MANY, notify: tuple[str, ...] = ()) -> Shop:
        (books / "shop-errors.md").write_text(RUNBOOK.replace("[rollback, restart]", remedies))
        settings = Settings(data=tmp_path, runbooks=books, lease="1d")
        library = open_library(settings)
        runbook, target = library.runbooks["shop-errors"], library.services.targets[TARGET]
        plan = Plan(runbook.name, runbook.version, runbook.text, rungs=len(runbook.remedies), notify=notify)
        placed = CheckAtTarget(runbook.name, runbook.checks[0], target)
        for error in FEW:
            clock.advance(timedelta(seconds=5))
            with timed.record() as tx:
                checks.record(
                    tx, placed, Sample(tx.now, {"latency": 0.1, "error": error}, ""), blind=False, mass_limit=99
                )
        with timed.record() as tx:
            number = lifecycle.open_incident(
                tx, alert("ShopErrors"), service="shop", target=TARGET, policy="default", reason="it is new", plan=plan
            ).number
            assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
            incident = incidents.get(tx, number)
        run = playbook_run(timed, settings, incident, runbook, target)
        one = Shop(timed, clock, run, folder, errors)

        def sleep(seconds: float) -> None:
            clock.advance(timedelta(seconds=5))
            one.meanwhile()

        for module in (verify, detect, exclusive, guarded):
            monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
        for module in (verify, detect):
            monkeypatch.setattr(module, "measure", one.look)
        owner = SimpleNamespace(identity=lambda: process_identity(100 + len(one.restarts), 1.0, "RUNNING"))
        monkeypatch.setattr(reading, "reader", lambda _: owner)
        monkeypatch.setattr(act, "changer", lambda *_, **__: one)
        return one

    return made


@pytest.fixture
def scalable(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    """Its kind offers a remedy of its own that can be undone."""
    monkeypatch.setattr(supervisord, "REMEDIES", (*supervisord.REMEDIES, "scale"))
    monkeypatch.setattr(supervisord, "UNDOES", ("scale",), raising=False)
    return partial(shop, remedies="[scale, restart]")
