"""Where the runbook observes, a change of a playbook raises what it would have done, and no task of Prefect begins."""

from pathlib import Path

import pytest
from databases import Clock
from incident_states import PEOPLE, alert
from playbook_runs import opened_by, playbook_run

from paramedic.catalog.library import open_library
from paramedic.change import exclusive
from paramedic.change.run import PlaybookRun, Proposed
from paramedic.doors import reading
from paramedic.kinds.process_target import process_identity
from paramedic.settings import Settings
from paramedic.store import Store, acts, proposals
from tasks import act
from tasks.current_run import working_on

RUNBOOK = """\
---
runbook: shop-down
service: shop
when: [{alert: ShopDown}]
playbook: restart-service
with:
  target: {supervisord: shop, host: "{instance}"}
  verify: {memory_below: 1GB, stable: 100ms, within: 1s}
---
## Meaning
Down.
## Impact
All.
## Diagnosis
Look.
## Mitigation
Mend.
"""
SERVICES = """\
services:
  shop: {owner: ada, targets: [{host: web-1, supervisord: {program: shop, address: "unix:///nowhere/at/all"}}]}
"""
TARGET = "web-1/shop"


class Owner:
    """It is not up."""

    def identity(self) -> object:
        return process_identity(None, None, "FATAL")


@pytest.fixture
def run(timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlaybookRun:
    monkeypatch.setattr(reading, "reader", lambda _: Owner())
    for name, text in (("shop-down.md", RUNBOOK), ("services.yaml", SERVICES), ("oncall.yaml", PEOPLE)):
        (tmp_path / name).write_text(text)
    settings = Settings(data=tmp_path, runbooks=tmp_path)
    library = open_library(settings)
    runbook = library.runbooks["shop-down"]
    at = library.services.targets[TARGET]
    incident = opened_by(timed, runbook, at, alert("ShopDown"), begun=True)
    return playbook_run(timed, settings, incident, runbook, at)


def test_a_verb_says_what_it_would_have_done_and_nothing_begins(run: PlaybookRun) -> None:
    with working_on(run), exclusive.exclusive(run, TARGET), pytest.raises(Proposed) as observed:
        act.restart(TARGET)
    made = observed.value.proposal
    assert (made.words, made.refused_by) == ("would have restarted web-1/shop", None)
    assert made.why == "its supervisord says FATAL"
    with run.store.read() as tx:
        assert proposals.of(tx, run.incident.number) == [made]
        assert acts.of(tx, run.incident.number) == []
