"""At the act the runbook's file counts as it is at that moment: lowered, narrowed, broken or gone, it acts no more."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from playbook_runs import opened_by, playbook_run
from store_states import ALIVE, claimed, recorded

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import library_in_force, open_library
from paramedic.change import limits
from paramedic.change.guarded import _intend
from paramedic.errors import Refused
from paramedic.machine.clock import utc_now
from paramedic.remediation.remedy import RESTART
from paramedic.settings import Settings
from paramedic.store import Store, acts

ROOT = Path(__file__).parents[2]
NAME = "tracking-api-memory"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    books = tmp_path / "runbooks"
    shutil.copytree(ROOT / "runbooks", books)
    file = books / f"{NAME}.md"
    file.write_text(file.read_text().replace("mode: observe", "mode: act"))
    return Settings(data=tmp_path, runbooks=books)


@pytest.fixture
def act(store: Store, settings: Settings) -> Callable[..., str | None]:
    """Have the incident's run come to its intent; the refusal, if it is refused."""
    library = open_library(settings)
    runbook = library.runbooks[NAME]
    target = library.services.targets["web-1/tracking-api"]
    labels = {"alertname": "TrackingApiMemory", "env": "prod", "instance": "web-1:9100"}
    sent = fingerprint("alertmanager", labels)
    alert = Alert("alertmanager", "TrackingApiMemory", Severity.CRITICAL, Status.FIRING, utc_now(), sent, labels)
    incident = opened_by(store, runbook, target, alert, begun=True)
    with store.record() as tx:
        claim = claimed(tx, incident.number)
    work = playbook_run(store, settings, incident, runbook, target)
    hold = cast("Any", type("Held", (), {"claim": claim}))

    def tried() -> str | None:
        try:
            _intend(work, hold, "restart", RESTART, ALIVE, settings.act_deadline)
        except Refused as no:
            return no.reason
        return None

    return tried


def _file(settings: Settings) -> Path:
    return settings.runbooks / f"{NAME}.md"


def _replace(file: str, before: str, after: str) -> Callable[[Settings], object]:
    def edit(settings: Settings) -> None:
        text = (settings.runbooks / file).read_text()
        assert before in text
        (settings.runbooks / file).write_text(text.replace(before, after))

    return edit


def _a_directory(settings: Settings) -> None:
    _file(settings).unlink()
    _file(settings).mkdir()


MD = f"{NAME}.md"
WITHDRAWN: dict[str, tuple[Callable[[Settings], object], str]] = {
    "lowered": (
        _replace(MD, "mode: act", "mode: observe"),
        "by the runbook as it is now, not as it was: the runbook's",
    ),
    "asks": (_replace(MD, "mode: act", "mode: ask"), "as it is now, not as it was: it needs a person's approval"),
    "narrowed": (_replace(MD, "alert: TrackingApiMemory", "alert: Other"), "`when` no longer wants"),
    "another playbook": (_replace(MD, "playbook: restart-service", "playbook: restore-service"), "`playbook` was"),
    "unlisted": (_replace("services.yaml", "host: web-1", "host: web-7"), "no longer lists web-1/tracking-api"),
    "elsewhere": (_replace("services.yaml", "unix:///", "unix:///moved/"), "another address"),
    "unparsable": (lambda settings: _file(settings).write_text("---\n{"), "the runbook cannot be used since"),
    "gone": (lambda settings: _file(settings).unlink(), "the runbook was withdrawn"),
    "renamed": (lambda settings: _file(settings).rename(settings.runbooks / "other.md"), "the runbook was withdrawn"),
    "a directory": (_a_directory, "the runbook cannot be used since"),
    "unreadable services": (
        lambda settings: (settings.runbooks / "services.yaml").write_text("{"),
        "nothing acts until",
    ),
    "no on-call": (lambda settings: (settings.runbooks / "oncall.yaml").unlink(), "nothing acts until this is mended"),
    "unmounted": (lambda settings: shutil.rmtree(settings.runbooks), "nothing acts until this is mended"),
    "emptied": (
        lambda settings: [path.unlink() for path in settings.runbooks.glob("*.*")],
        "nothing acts until this is mended",
    ),
}


@pytest.mark.parametrize("how", WITHDRAWN)
def test_what_was_withdrawn_meanwhile_is_refused_in_words_on_the_trail(
    settings: Settings, store: Store, act: Callable[..., str | None], how: str
) -> None:
    library_in_force(settings)  # what this process has read before is not an excuse
    edit, words = WITHDRAWN[how]
    edit(settings)
    assert words in (act() or "it acted")
    with store.read() as tx:
        assert acts.of(tx, 1) == []
    assert recorded(store, 1)[-1] == "restart.refused"


def test_what_nobody_withdrew_is_done(act: Callable[..., str | None], store: Store) -> None:
    assert act() is None
    with store.read() as tx:
        assert len(acts.of(tx, 1)) == 1


def test_what_was_only_widened_or_explained_is_done(settings: Settings, act: Callable[..., str | None]) -> None:
    _file(settings).write_text(_file(settings).read_text() + "\nMore to read.\n")
    _replace("services.yaml", "host: web-1", "host: web-1")(settings)
    assert act() is None


def test_a_runbook_that_was_raised_does_not_make_a_running_incident_act(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    _replace(MD, "mode: act", "mode: observe")(settings)
    tried = request.getfixturevalue("act")
    _replace(MD, "mode: observe", "mode: act")(settings)
    assert "the runbook's mode is observe" in (tried() or "it acted")


def test_the_file_is_read_outside_the_store_s_transaction(
    settings: Settings, act: Callable[..., str | None], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []
    record = store.record
    opened = limits.open_library

    def watched(*args: Any) -> Any:
        inside.append(recording[0] > 0)
        return opened(*args)

    recording = [0]

    class Recording:
        def __init__(self) -> None:
            self._inner = record()

        def __enter__(self) -> Any:
            recording[0] += 1
            return self._inner.__enter__()

        def __exit__(self, *args: object) -> Any:
            recording[0] -= 1
            return self._inner.__exit__(*args)

    monkeypatch.setattr(limits, "open_library", watched)
    monkeypatch.setattr(store, "record", Recording)
    assert act() is None
    assert inside == [False]
