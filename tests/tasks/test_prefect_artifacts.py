"""What the Prefect UI shows of an incident: our words are the page, everybody else's are quoted; and it costs no time."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import incident_states
import pytest
from incident_states import acting, asking, begun, handed_over, on_call
from markdown_it import MarkdownIt
from prefect.settings import PREFECT_API_URL, temporary_settings

from paramedic.incidents.outcome import Ending, Outcome
from paramedic.settings import Settings
from paramedic.store import Store, acts, incident_page, incidents, lifecycle
from paramedic.store.incident_page import page
from paramedic.text.redaction import forget_all, remember
from tasks import prefect_artifacts
from tasks.prefect_artifacts import quoted, show, show_incident

HOSTILE = """\
x</pre><script>alert(1)</script>

# heading

[click](http://evil.example) ![seen](http://evil.example/pixel.png)

```
~~~

<img src=x onerror=alert(1)>

https://evil.example

\u2028# heading \x0b# heading \x1b[31m \u202e {{ flow_run.id }}
"""


def _kinds(markdown: str) -> list[str]:
    """The page's building blocks, as a Markdown reader with HTML, links and images takes it."""
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    return [token.type for token in tokens] + [child.type for token in tokens for child in token.children or []]


def _page(store: Store, number: int) -> str:
    with store.read() as tx:
        return page(tx, incidents.get(tx, number), oncall=on_call().oncall)


def test_no_word_from_outside_is_more_than_quoted_text(store: Store) -> None:
    plain = handed_over(store, because="still failing", title="TrackingApiMemory")
    with store.record() as tx:
        lifecycle.resolve(tx, plain.number, Outcome(Ending.HANDED_OVER, "over"), actor="person:ada")
        incidents.note(tx, plain.number, by="ada", text="x")
    hostile = handed_over(store, because=HOSTILE, title=HOSTILE, target="web-2/tracking-api")
    with store.record() as tx:
        lifecycle.resolve(tx, hostile.number, Outcome(Ending.HANDED_OVER, HOSTILE), actor=f"person:{HOSTILE}")
        incidents.note(tx, hostile.number, by=HOSTILE, text=HOSTILE)
    assert "onerror" in _page(store, hostile.number)
    assert "note by ada: x" in _page(store, plain.number)
    assert _kinds(_page(store, hostile.number)) == _kinds(_page(store, plain.number))
    assert _kinds(f"# a\n\n{quoted(HOSTILE)}\n\nb") == _kinds("# a\n\n    x\n\nb")


def test_the_page_says_what_was_wrong_what_was_done_and_how_it_ended(store: Store) -> None:
    incident, act = acting(store)
    with store.record() as tx:
        acts.close(tx, act, result="done", why="it answered", actor="run:run-1")
        outcome = Outcome(Ending.REMEDIATED, "the restart helped, verified")
        lifecycle.resolve(tx, incident.number, outcome, actor="run:run-1")
    page = _page(store, incident.number)
    assert page.startswith("# INC-1: TrackingApiMemory on web-1/tracking-api (critical)\n")
    for part in ("## What was done", "the restart helped, verified", "it answered", "nothing is left to do"):
        assert part in page


def test_the_page_says_how_to_go_on_in_every_state(store: Store) -> None:
    given = handed_over(store)
    assert "`paramedic incident ack INC-1 --by NAME`" in _page(store, given.number)
    with store.record() as tx:
        lifecycle.acknowledge(tx, given.number, by="ada", reason="by the link in a message")
    assert "Somebody has it" in _page(store, given.number)
    assert "attempt 1, in a run of its own" in _page(store, begun(store, "web-2/tracking-api").number)


def test_while_a_person_is_asked_the_page_says_what_and_how_to_answer(store: Store) -> None:
    incident, _ = asking(store)
    shown = _page(store, incident.number)
    assert "May Paramedic do the restart of web-1/tracking-api?" in shown
    assert "- yes: `paramedic incident approve INC-1 --by NAME`\n" in shown
    assert "- no: `paramedic incident approve INC-1 --by NAME --deny`\n" in shown
    assert "Acting now: nothing: it waits for a person's word" in shown


@pytest.fixture
def frozen() -> Iterator[str]:
    """A Prefect that takes every call and answers none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def test_a_ui_that_is_frozen_costs_the_view_and_raises_nothing(
    store: Store, frozen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    incident = handed_over(store)
    monkeypatch.setattr(prefect_artifacts, "PATIENCE_SECONDS", 0.2)
    with temporary_settings({PREFECT_API_URL: frozen}), caplog.at_level(logging.WARNING):
        show_incident(store, Settings(data=tmp_path), incident.number, flow_run="run-1")
    assert "INC-1 could not be shown in the Prefect UI: " in caplog.text
    assert "timed out" in caplog.text


def test_a_fault_of_the_view_is_not_the_runs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object, **__: object) -> str:
        raise ValueError("a bug in the page")

    monkeypatch.setattr(incident_page, "page", faulty)
    show_incident(store, Settings(data=tmp_path), handed_over(store).number, flow_run="run-1")
    show_incident(store, Settings(data=tmp_path), 4711, flow_run="run-1")
    assert "a bug in the page" in caplog.text
    assert "there is no INC-4711" in caplog.text


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that were sent."""
    pages: list[str] = []

    class Api:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        status_code = 404  # there is no page of its key yet

        def get(self, _path: str) -> "Api":
            return self

        def post(self, _path: str, json: dict[str, str]) -> "Api":
            pages.append(json["data"])
            return self

        def raise_for_status(self) -> "Api":
            return self

    monkeypatch.setattr(prefect_artifacts, "prefect_api", lambda timeout: Api())
    return pages


def test_no_secret_reaches_the_ui(sent: list[str]) -> None:
    remember("correct horse battery")
    try:
        show("evidence-inc-1", quoted("it printed correct horse battery"), flow_run="run-1")
    finally:
        forget_all()
    assert sent == ["    it printed [secret]"]


def test_what_an_author_wrote_is_shown_as_it_was_written_and_what_a_sender_wrote_is_not(
    sent: list[str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prose = "Get a token: `vault login`, then password=letmein, for Basic information."
    monkeypatch.setattr(
        incident_states, "RUNBOOK", incident_states.RUNBOOK.replace("2. Give it", f"2. {prose} Give it")
    )
    incident = handed_over(store, because="it said password=letmein")
    show_incident(store, Settings(data=tmp_path), incident.number, flow_run="run-1")
    [shown] = (page.replace("\\", "") for page in sent)
    assert prose in shown
    assert "it said password=[secret]" in shown
