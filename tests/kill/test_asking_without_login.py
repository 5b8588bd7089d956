"""A Prefect that answers everybody: whoever fills its form in has proven nothing, and the link with its code has.

`tests/tasks/test_approval_form.py` and `tests/store/test_approvals.py` hold the decision itself; here a whole Paramedic makes it.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from kill.driver import Driver, driving, verify, wait_for
from prefect_server import Prefect

from paramedic.demo.world import text_of
from paramedic.incidents.outcome import Ending
from paramedic.remediation.approval import Answer
from paramedic.store import approvals
from paramedic.store import trail as stored_trail

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(600)]


@pytest.fixture
def up(prefect: Prefect) -> Iterator[Driver]:
    with (
        tempfile.TemporaryDirectory(prefix="pk-") as folder,
        driving(Path(folder), [("forged", "web-2", "")], PARAMEDIC_PREFECT_API_URL=prefect.api) as up,
    ):
        yield up


def test_an_approval_by_the_form_of_a_prefect_without_login_is_refused_and_asked_again(up: Driver) -> None:
    service = up.service("forged")
    up.break_it(service)
    assert up.send(up.alert(service, env="ask")).status_code == 202

    def suspended() -> bool:
        return any(run["state_type"] == "PAUSED" for got in up.incidents_on(service) for run in up.flow_runs(got))

    def whats() -> list[str]:
        with up.store.read() as tx:
            return [entry.what for entry in stored_trail.entries(tx, incident=incident.number)]

    wait_for("the suspended run", suspended, up.tick, seconds=150)
    incident = up.incidents_on(service)[0]
    run = up.flow_runs(incident)[0]["id"]
    wait_for("the message", lambda: bool(up.mailbox.about(incident.id)), up.tick, seconds=60)
    for times in (1, 2):  # each form that is filled in
        answer = up.ask_prefect(
            "POST", f"/flow_runs/{run}/resume", json={"run_input": {"decision": "approve", "by": "ada"}}
        )
        assert answer["status"] == "ACCEPT"
        wait_for(
            "the refusal",
            lambda times=times: whats().count("approval.form_refused") == times,
            up.tick,
            seconds=150,
        )
        wait_for("the suspended run", suspended, up.tick, seconds=150)
    assert service.starts == 1
    with up.store.read() as tx:
        asked = approvals.newest(tx, incident.number)
        entries = stored_trail.entries(tx, incident=incident.number)
        refused = [entry for entry in entries if entry.what == "approval.form_refused"]
    assert asked is not None
    assert (asked.state, asked.decided_by) == (Answer.ASKED, None)
    assert {entry.actor for entry in refused} == {"prefect-form"}
    assert "who said to be ada, does not count: this Prefect answers everybody without a login" in refused[0].reason
    text = text_of(up.mailbox.about(incident.id)[0]).replace("\r\n", "\n")
    link = re.search(r"^http\S+/approve/\S+$", text, re.MULTILINE)
    code = re.search(r"code there: (\d{8})$", text, re.MULTILINE)
    assert link is not None
    assert code is not None
    right = httpx.post(link[0], data={"decision": "approve", "code": code[1]}, timeout=10, trust_env=False)
    assert right.status_code == 200
    ended = up.ended(service, seconds=240)
    assert (ended.ending, ended.attempt, service.starts) == (Ending.REMEDIATED, 1, 2), ended.because
    assert whats().count("approval.form_refused") == 2, "an earlier answer is told once"
    verify(up)
