"""Whether systemd would restart a unit for this user is asked of a real systemd and a real polkit, and no unit is restarted."""

import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from systemd_container import PidOne
from systemd_units import Units, rule_of, systemd, target
from waiting import until

from paramedic.cli.doctor_targets import rights
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets.systemd import Reader
from paramedic.processes import systemctl
from paramedic.remediation.target import Target
from paramedic.settings import Settings, load_settings
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
NAME = pwd.getpwuid(65534).pw_name

RUNBOOK = """\
---
runbook: {name}
service: shop
when:
  - alert: {alert}
mode: {mode}
playbook: restart-service
with:
  target: {{systemd: {name}.service, host: "{{instance}}"}}
  verify: {{health: ok, stable: 1m, within: 5m}}
guardrails: {{budget: 3 per hour, cooldown: 10m}}
escalate: {{policy: default}}
---
## Meaning
It is down.
## Impact
Nothing is sold.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@pytest.fixture(scope="module")
def with_polkit(require: Callable[[str], str]) -> Iterator[PidOne]:
    """A systemd with polkit, and the rule of docs/targets.md for the unit `tracking-api` and the user nobody."""
    require("pkaction")  # who has it has polkitd
    with systemd(require, rule_of("docs/targets.md").replace('"paramedic"', f'"{NAME}"')) as running:
        yield running


@pytest.fixture
def granted(with_polkit: PidOne) -> Iterator[Units]:
    made = Units(with_polkit)
    yield made
    made.end()


def started(units: Units, name: str, top: str = "") -> Target:
    """A running unit whose program has counted its start: systemd calls it active before."""
    before = units.starts(name)
    unit = units.running(name, top=top)
    until("its program has begun", lambda: units.starts(name) > before, 30)
    return unit


def forbidden(units: Units, name: str, verb: str = "restart", *, as_nobody: bool = True) -> str | None:
    via = (*units.via, *NOBODY) if as_nobody else units.via
    return Reader(target(f"{name}.service"), Local(via)).forbidden(verb)


def test_the_right_that_the_docs_grant_is_seen_for_that_unit_and_no_other(granted: Units) -> None:
    named, other = started(granted, "tracking-api"), started(granted, "other")
    before = granted.identity(named), granted.identity(other)
    assert forbidden(granted, "tracking-api") is None
    why = forbidden(granted, "other")
    assert why is not None
    assert why.startswith(f"the user {NAME} may not restart other.service (")
    assert "uthentication" in why
    assert "polkit rule of docs/targets.md" in why
    assert forbidden(granted, "other", as_nobody=False) is None, "root may"
    assert (granted.identity(named), granted.identity(other)) == before
    assert (granted.starts("tracking-api"), granted.starts("other")) == (1, 1)


def test_the_right_to_reload_is_asked_for_by_its_own_verb_and_nothing_is_reloaded(granted: Units) -> None:
    dies = "ExecReload=/bin/kill -KILL $MAINPID"
    named, other = granted.running("tracking-api", more=dies), granted.running("other", more=dies)
    before = granted.identity(named), granted.identity(other)
    assert forbidden(granted, "tracking-api", "reload") is None
    why = forbidden(granted, "other", "reload")
    assert why is not None
    assert why.startswith(f"the user {NAME} may not reload other.service (")
    assert "for this unit and the verb reload (/etc/polkit-1/rules.d)" in why
    assert forbidden(granted, "other", "reload", as_nobody=False) is None, "root may"
    assert (granted.identity(named), granted.identity(other)) == before


def test_a_unit_that_cannot_be_reloaded_is_said_to_whoever_may_do_everything(units: Units) -> None:
    started(units, "no-reload")
    why = forbidden(units, "no-reload", "reload", as_nobody=False)
    assert why == "no-reload.service cannot be reloaded: its unit file has neither ExecReload= nor Type=notify-reload"


def test_a_stopped_unit_is_asked_for_too_and_not_started(granted: Units) -> None:
    granted.make("tracking-api")
    before = granted.starts("tracking-api"), granted.identity(target("tracking-api.service"))
    assert forbidden(granted, "tracking-api") is None
    assert forbidden(granted, "tracking-api", as_nobody=False) is None
    assert (granted.starts("tracking-api"), granted.identity(target("tracking-api.service"))) == before
    assert before[1].instance["pid"] is None


def test_without_polkit_the_refusal_is_named(units: Units) -> None:
    started(units, "plain")
    why = forbidden(units, "plain")
    assert why is not None
    assert f"the user {NAME} may not restart plain.service" in why
    assert "see that polkit runs" in why
    assert forbidden(units, "plain", as_nobody=False) is None
    assert units.starts("plain") == 1


def test_a_unit_that_nobody_may_start_by_hand_is_refused_to_root_too(units: Units) -> None:
    units.make("dependent", top="RefuseManualStart=yes")
    why = forbidden(units, "dependent", as_nobody=False)
    assert why is not None
    assert why.startswith("systemd would not restart dependent.service: ")
    assert "by dependency only" in why


def test_a_unit_that_may_be_isolated_is_never_asked_in_that_mode(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    started(units, "isolated", top="AllowIsolate=yes")
    asked: list[str] = []
    run = Local.run
    monkeypatch.setattr(Local, "run", lambda self, command, until: asked.extend(command) or run(self, command, until))
    why = forbidden(units, "isolated", as_nobody=False)
    assert (
        why
        == "who may restart isolated.service cannot be asked safely: it is none of systemd's units with AllowIsolate=no"
    )
    assert "RestartUnit" not in asked


def test_systemd_refuses_such_a_job_to_whoever_may_do_everything_even_of_a_unit_that_may_be_isolated(
    units: Units,
) -> None:
    """What makes it safe to ask: two refusals, one after the other."""
    started(units, "bystander")
    for name, top in (("ordinary", ""), ("allowed", "AllowIsolate=yes")):
        started(units, name, top=top)
        for verb in ("restart", "reload"):
            asked = units.systemd.run(*systemctl.never_done(verb, f"{name}.service"))
            assert asked.returncode != 0
            assert "only valid for start" in asked.stderr
        assert units.starts(name) == 1
    assert units.systemd.run("systemctl", "is-active", "bystander.service").stdout == "active\n"


def test_a_unit_that_is_not_there_is_no_question_of_rights(units: Units) -> None:
    with pytest.raises(PermanentError, match=r"systemd has no unit gone\.service"):
        forbidden(units, "gone")


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Units, dict[str, str]], Settings]:
    """A folder of runbooks, each of which restarts the unit of its name in this mode; asked as the user nobody."""

    def make(units: Units, modes: dict[str, str]) -> Settings:
        folder = tmp_path / "books"
        folder.mkdir(exist_ok=True)
        listed = "".join(
            f"      - {{host: web-1, systemd: {name}.service, health: 'http://127.0.0.1:9/'}}\n" for name in modes
        )
        (folder / "services.yaml").write_text(f"services:\n  shop:\n    targets:\n{listed}")
        (folder / "oncall.yaml").write_text((Path(__file__).parents[2] / "runbooks" / "oncall.yaml").read_text())
        for name, mode in modes.items():
            (folder / f"{name}.md").write_text(
                RUNBOOK.format(name=name, alert=name.replace("-", "").title(), mode=mode)
            )
        monkeypatch.setattr(reading, "transport", lambda _: Local((*units.via, *NOBODY)))
        return load_settings(data=tmp_path / "data", runbooks=folder)

    return make


@pytest.mark.usefixtures("_nothing_set")
def test_doctor_names_each_unit_that_a_runbook_restarts_and_this_user_may_not(
    granted: Units, books: Callable[[Units, dict[str, str]], Settings]
) -> None:
    for name in ("tracking-api", "acts", "observed"):
        started(granted, name)
    found = rights(books(granted, {"tracking-api": "act", "acts": "ask", "observed": "observe"}))
    assert not found.well
    wrong, later = found.words.split("; ")
    assert wrong.startswith(f"web-1/acts.service: the user {NAME} may not restart acts.service (")
    assert later.startswith("not yet, and its runbooks only observe: web-1/observed.service: the user ")
    assert "tracking-api" not in found.words
    found = rights(books(granted, {"tracking-api": "act"}))
    assert found.well
    assert [granted.starts(name) for name in ("acts", "observed")] == [1, 1]


@pytest.mark.usefixtures("_nothing_set")
def test_doctor_says_where_nobody_could_be_asked(
    granted: Units, books: Callable[[Units, dict[str, str]], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> None:
        raise TemporaryError("systemd did not answer about it in 5s")

    started(granted, "tracking-api")
    settings = books(granted, {"tracking-api": "act"})
    monkeypatch.setattr(Reader, "properties", hangs)
    found = rights(settings)
    assert not found.well
    assert found.words == "web-1/tracking-api.service: systemd did not answer about it in 5s"
