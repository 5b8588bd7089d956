"""What whoever is on call asks: a real hand-over's mail answers it, and so do `incident show` and the run's page in Prefect."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from command_line import paramedic
from databases import migrated
from incident_states import PEOPLE, acting, alert, on_call
from mail_server import Postbox, text_of
from markdown_it import MarkdownIt
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import Prefect
from pydantic import SecretStr

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.paging import Pager
from paramedic.settings import Settings
from paramedic.store import Store, Tx, acts, claims, incident_alerts, incidents, lifecycle
from tasks.prefect_artifacts import show_incident

pytestmark = pytest.mark.real

SUMMARY = "tracking-api on web-1 holds more than 120 MB"

#: The question, and what answers it in each of the three. The page in Prefect is everybody's: its commands are NAME's.
QUESTIONS = {
    "what is broken": rf"TrackingApiMemory on web-1/tracking-api .*\n{SUMMARY}",
    "since when": r"Since: .*\d{4} \d\d:\d\d:\d\d \w+ \(\w+( \w+)? ago\)",
    "how bad": r"\(critical\)",
    "what did it do": r"restarted web-1/tracking-api: done\n.*still not well: answered 503",
    "may I take over": r"It is: +nobody's yet(.|\n)*paramedic incident ack INC-2 --by ada",
    "is anything acting": r"Acting now: +nothing",
    "how do I stop it": r"stop all changes: +paramedic pause --service tracking-api",
    "what should I do now": r"What to do:?\n(.|\n)*Give it a larger machine",
    "who else knows": r"Told so far: +(nobody yet|ada \()",
    "how do I get it to try again": r"paramedic incident retry INC-2 --by ada",
    "what happened last time": r"Last time: +INC-1, .*: remediated",
    "how do I say it is over": r"paramedic incident resolve INC-2 --by ada",
    "how do I silence repeats": r"no repeats .*paramedic maintenance add --service tracking-api --target web-1/tracking-api",
    "who is next": r"Next: +(bob|ada), at [\w: ]*\d\d:\d\d:\d\d",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, prefect: Prefect) -> Iterator[dict[str, str]]:
    """The texts of the mail, of `incident show` and of the run's page, of one incident that a playbook gave up."""
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o700)
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "oncall.yaml").write_text(PEOPLE)
    with Postbox() as postbox:
        settings = Settings(
            data=folder,
            runbooks=folder / "runbooks",
            smtp_url=SecretStr(postbox.url),
            mail_from="paramedic@example.org",
        )
        store = Store(migrated(folder / "paramedic.db"))
        _healed(store)
        _given_up(store)
        Pager(store, settings, on_call()).deliver_due()
        [mail] = [mail for mail in postbox.letters if "still not well" in mail["Subject"]]
        shown = paramedic("incident", "show", "INC-2", "--by", "ada", "--data", str(folder))
        page = _page(store, settings, prefect)
        store.close()
        yield {"mail": text_of(mail), "show": shown, "prefect": page}


def _page(store: Store, settings: Settings, prefect: Prefect) -> str:
    """What a reader of the run's page in Prefect sees, as its run ends."""
    flow = prefect.ask("POST", "/flows/", json={"name": "restart-service"})["id"]
    run = prefect.ask("POST", "/flow_runs/", json={"flow_id": flow, "state": {"type": "RUNNING"}})["id"]
    with temporary_settings({PREFECT_API_URL: prefect.api}):
        show_incident(store, settings, 2, flow_run=run)
    [page] = prefect.ask("POST", "/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run]}}})
    tokens = MarkdownIt("commonmark").parse(page["data"])
    inline = ("".join(child.content for child in token.children or []) or token.content for token in tokens)
    return "\n".join(words for words in inline if words)


def _release(tx: Tx, target: str) -> None:
    held = claims.current(tx, target)
    assert held is not None
    claims.release(tx, held[0])


def _healed(store: Store) -> None:
    incident, act = acting(store)
    with store.record() as tx:
        acts.close(tx, act, result="cured", why="verified well after it", actor="run:run-1")
        lifecycle.resolve(tx, incident.number, Outcome(Ending.REMEDIATED, "the restart helped"), actor="run:run-1")
        _release(tx, incident.target)


def _given_up(store: Store) -> None:
    incident, act = acting(store)
    words = dataclasses.replace(alert(), annotations={"summary": SUMMARY})
    with store.record() as tx:
        incident_alerts.note(tx, incident.number, words, None)
        acts.close(tx, act, result="done", why="web-1/tracking-api answered", actor="run:run-1")
        found = {"reason": "not well for 3s on end: answered 503", "data": {"seen": "answered 503"}}
        incidents.append_to_timeline(tx, incident.number, actor="run:run-1", what="verification.failed", **found)
        lifecycle.hand_over(
            tx, incident.number, Outcome(Ending.HANDED_OVER, "restarted, still failing"), actor="run:run-1"
        )
        _release(tx, incident.target)


@pytest.mark.parametrize("where", ["mail", "show", "prefect"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_it_is_answered(answers: dict[str, str], question: str, where: str) -> None:
    answer = QUESTIONS[question].replace("--by ada", "--by NAME") if where == "prefect" else QUESTIONS[question]
    assert re.search(answer, answers[where]), answers[where]
