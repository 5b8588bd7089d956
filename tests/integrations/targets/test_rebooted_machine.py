"""A machine is rebooted once, where it may be; that it happened is another boot, with what ran before running again."""

from datetime import timedelta
from typing import Any

import pytest
from whole_machine import FIRST, SECOND, Machine, Unit, agree, judged, target

from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.integrations.targets import machine as kind
from paramedic.kinds.machine_facts import boot_id
from paramedic.machine import clock
from paramedic.remediation.target import Identity
from paramedic.text.yaml_document import BadDocument

SOON = timedelta(milliseconds=100)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "AGAIN_SECONDS", 0.001)


def changer(machine: Machine, within: timedelta = timedelta(seconds=10), **words: Any) -> kind.Changer:
    return kind.Changer(target(**words), machine, within)  # type: ignore[arg-type]


def test_a_reboot_is_done_once_it_is_in_another_boot_and_its_services_run() -> None:
    machine = Machine(app=Unit(), sshd=Unit())
    before, done = judged(machine), changer(machine)
    after = done.reboot(before, agree)
    assert machine.reboots == 1
    assert (before.instance, after.instance) == ({"boot": FIRST}, {"boot": SECOND})
    assert kind.running(after)
    assert kind.restarted(before, after)
    assert f"boot {SECOND} instead of {FIRST}" in done.did
    assert "the 2 units that have to be active are" in done.did


def test_one_that_is_away_for_a_while_is_waited_for_and_a_cut_connection_ends_nothing() -> None:
    machine = Machine()
    machine.cut = True
    before = judged(machine)

    def then_away() -> None:
        machine.away = 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "kill_point", lambda *_: setattr(machine, "away", 7))
        after = changer(machine).reboot(before, then_away)
    assert (after.instance["boot"], machine.away, machine.reboots) == (SECOND, 0, 1)


def test_what_is_no_id_of_a_boot_is_never_taken_for_another_boot() -> None:
    """An answer that is empty, an error or half an id has been taken for a machine that is back."""
    for no in ("", "Connection closed", "cat: boot_id: No such file", FIRST[:-1], f"{FIRST} {FIRST}"):
        with pytest.raises(TemporaryError, match="no id of a boot"):
            boot_id(no)
    machine = Machine()
    machine.never_boots = True
    before = judged(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "kill_point", lambda *_: machine.answers.extend(["", "sudo: a password is required"]))
        with pytest.raises(OutcomeUnknown, match="in no other boot after 100ms: it still answers, in the same boot"):
            changer(machine, SOON).reboot(before, agree)


def test_a_machine_that_still_answers_in_the_old_boot_is_not_taken_for_rebooted() -> None:
    """systemctl returns at once, and a machine with much to stop goes on answering for minutes."""
    machine = Machine()
    before = judged(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "kill_point", lambda *_: machine.answers.extend([FIRST] * 5))
        after = changer(machine).reboot(before, agree)
    assert after.instance["boot"] == SECOND
    assert machine.answers == []


def test_one_that_does_not_come_back_is_unknown_and_not_rebooted_again() -> None:
    machine = Machine()
    before = judged(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "kill_point", lambda *_: setattr(machine, "away", 10**9))
        with pytest.raises(OutcomeUnknown, match="was told to reboot.*Connection refused"):
            changer(machine, SOON).reboot(before, agree)
    assert machine.reboots == 1


def test_a_service_that_does_not_run_again_is_a_failure_that_names_it() -> None:
    machine = Machine(app=Unit(returns="failed/failed"), sshd=Unit())
    with pytest.raises(PermanentError, match=r"was rebooted .*app\.service \(failed/failed\)$"):
        changer(machine, SOON).reboot(judged(machine), agree)


@pytest.mark.parametrize(
    "gone",
    [
        Unit(file="static", wanted="", returns="inactive/dead"),  # user@1000.service: nobody has logged in yet
        Unit(triggered="app.socket", returns="inactive/dead"),
        Unit(type="dbus", file="static", wanted="", returns="inactive/dead"),
        Unit(state="inactive/dead", returns="inactive/dead"),
        Unit(state="active/exited", returns="active/exited"),
        Unit(state="active/exited", returns="inactive/dead", conditions="no"),  # ldconfig.service: nothing to update
        Unit(state="active/exited", file="static", wanted="user@1000.service", returns="inactive/dead"),
        Unit(state="failed/failed", returns="failed/failed"),
        Unit(file="transient", wanted="", returns="inactive/dead"),
    ],
    ids=["static", "socket", "bus", "did not run", "oneshot", "conditions", "of a login", "failed before", "transient"],
)
def test_what_boot_does_not_start_is_not_waited_for(gone: Unit) -> None:
    machine = Machine(app=Unit(), other=gone)
    changer(machine, SOON * 20).reboot(judged(machine), agree)


@pytest.mark.parametrize(
    "there",
    [Unit(file="static"), Unit(file="enabled-runtime", wanted=""), Unit(file="generated", wanted="")],
    ids=["wanted", "of a generator", "of an init script"],
)
def test_what_boot_starts_is_waited_for_however_its_file_is_called(there: Unit) -> None:
    there.returns = "activating/auto-restart"
    machine = Machine(other=there)
    with pytest.raises(PermanentError, match=r"other\.service \(activating/auto-restart\)"):
        changer(machine, SOON).reboot(judged(machine), agree)


def test_what_services_yaml_names_decides_over_it() -> None:
    on_demand = Machine(app=Unit(triggered="app.socket", returns="inactive/dead"))
    with pytest.raises(PermanentError, match=r"app\.service \(inactive/dead\)"):
        changer(on_demand, SOON, units=["app.service"]).reboot(judged(on_demand), agree)
    let_go = Machine(app=Unit(returns="failed/failed"))
    assert changer(let_go, without=["app.service"]).reboot(judged(let_go), agree).instance["boot"] == SECOND


@pytest.mark.parametrize(("returns", "up"), [("failed/failed", False), ("active/running", True)])
def test_a_listed_unit_that_was_down_before_proves_no_reboot_and_is_left_to_the_verification(
    returns: str, up: bool
) -> None:
    machine = Machine(app=Unit(state="failed/failed", returns=returns), sshd=Unit())
    needs: dict[str, Any] = {"units": ["app.service"]}
    before, done = judged(machine, target(**needs)), changer(machine, SOON * 20, **needs)
    assert not kind.running(before)
    after = done.reboot(before, agree)
    assert kind.restarted(before, after)
    assert kind.running(after) is up
    assert done.did.endswith("is" if up else "is; as before, it is without app.service (failed/failed)")


def test_a_machine_without_a_unit_that_it_needs_is_not_up() -> None:
    machine = Machine(app=Unit(state="failed/failed"))
    needs = target(units=["app.service", "gone.service"])
    assert kind.running(judged(machine))
    seen = judged(machine, needs)
    assert seen.state == "running, without app.service (failed/failed); gone.service (not loaded)"
    assert not kind.running(seen)
    machine.system = "degraded"
    assert kind.running(judged(machine))
    machine.system = "starting"
    assert judged(machine).unclear


def refused(machine: Machine, before: Identity | None = None) -> Refused:
    looked: list[int] = []
    with pytest.raises(Refused) as no:
        changer(machine).reboot(before or judged(machine), lambda: looked.append(1))
    assert (machine.reboots, looked) == (0, [])
    return no.value


def test_another_boot_than_the_judged_one_is_left_alone() -> None:
    no = refused(Machine(), Identity("running", {"boot": SECOND}))
    assert isinstance(no, TargetChanged)
    assert f"{SECOND} then, {FIRST} now" in no.reason


def test_the_machine_that_paramedic_runs_on_is_never_rebooted() -> None:
    machine = Machine()
    machine.boot = clock.boot()
    assert "the machine that Paramedic runs on" in refused(machine).reason
    assert "it is refused" in str(kind.forbidden(target(), machine, "reboot"))  # type: ignore[arg-type]


def test_packages_that_are_being_changed_are_not_cut_short() -> None:
    machine = Machine()
    machine.locked = "/var/lib/dpkg/lock-frontend 2180 unattended-upgr\n"
    assert "lock-frontend is locked by process 2180 unattended-upgr" in refused(machine).reason


def test_a_program_that_asks_for_no_shutdown_is_heeded() -> None:
    machine = Machine()
    machine.inhibited = "sleep:shutdown"
    assert "asks that it is not shut down" in refused(machine).reason
    machine.inhibited = ""  # no logind: nobody can ask
    changer(machine).reboot(judged(machine), agree)


def test_a_service_that_nothing_would_start_again_keeps_it_from_being_rebooted() -> None:
    machine = Machine(app=Unit(), hand=Unit(file="disabled", wanted=""))
    no = refused(machine)
    assert "nothing would start hand.service" in no.reason
    assert no.by_hand.startswith("`systemctl enable hand.service`")
    changer(machine, without=["hand.service"]).reboot(judged(machine), agree)
    for name in ("hand.timer", "hand.socket"):
        by_hand = Machine(**{"app": Unit(), name: Unit(state="active/waiting", file="disabled", wanted="")})
        assert f"nothing would start {name}" in refused(by_hand).reason


def test_what_is_started_on_demand_comes_back_without_being_enabled() -> None:
    by_socket, by_bus = Unit(file="disabled", wanted="", triggered="a.socket"), Unit("active/running", "disabled", "")
    by_bus.type = "dbus"
    machine = Machine(app=Unit(), socket=by_socket, bus=by_bus, fleeting=Unit(file="transient", wanted=""))
    changer(machine).reboot(judged(machine), agree)
    assert machine.reboots == 1


@pytest.mark.parametrize("system", ["starting", "stopping", "initializing"])
def test_one_that_is_on_its_way_is_not_rebooted_on_top(system: str) -> None:
    machine = Machine()
    machine.system = system
    assert f"is {system}: it is being booted or shut down already" in refused(machine).reason


def test_a_no_at_the_last_look_and_a_time_that_is_over_reboot_nothing() -> None:
    machine = Machine()

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        changer(machine).reboot(judged(machine), too_late)
    with pytest.raises(Refused, match="were over before it was sent"):
        changer(machine, timedelta(0)).reboot(judged(machine), agree)
    assert machine.reboots == 0


def test_a_no_of_systemd_is_a_failure_in_its_words() -> None:
    machine = Machine()
    machine.says_no = "Failed to reboot system via logind: Interactive authentication required."
    with pytest.raises(PermanentError, match="systemd did not reboot.*Interactive authentication required"):
        changer(machine).reboot(judged(machine), agree)


def test_a_systemctl_that_its_machine_has_ended_in_time_is_no_no_of_systemd() -> None:
    machine = Machine()
    machine.limited = machine.never_boots = True
    with pytest.raises(OutcomeUnknown, match="was told to reboot, and is in no other boot"):
        changer(machine, SOON).reboot(judged(machine), agree)


def test_one_of_another_name_is_not_looked_at() -> None:
    with pytest.raises(PermanentError, match="and this machine is web-7"):
        judged(Machine(), target("web-8"))


def test_who_may_not_reboot_it_hears_what_grants_it() -> None:
    machine = Machine()

    def why() -> str | None:
        return kind.forbidden(target(), machine, "reboot")  # type: ignore[arg-type]

    assert why() is None  # root
    machine.user = ("medic", "1001")
    assert why() is None  # logind says yes
    machine.can = "challenge"
    assert "the user medic may not reboot it (logind says challenge)" in str(why())
    assert "`medic ALL=(root) NOPASSWD: /usr/bin/systemctl reboot --no-pager --no-ask-password`" in str(why())
    machine.can = ""
    assert "no logind answers there" in str(why())


SERVICES = """\
hosts:
  web-7: {ssh: {address: 10.0.0.7, user: medic, key: /k}}
  web-8: {ssh: {address: 10.0.0.8, user: medic, key: /k}}
services:
  shop:
    targets:
      - {host: web-7, machine: {units: [app.service], reboot_within: 20m}}
      - {host: web-7, systemd: app.service}
      - {host: web-7, supervisord: {program: till, address: "unix:///run/s.sock"}}
      - {host: web-8, systemd: app.service}
"""

RUNBOOK = """\
---
runbook: stuck
service: shop
when: [{alert: Stuck}, {check: heartbeat, name: web-7, every: 1m, missing_for: {critical: 1h}}]
mode: ask
playbook: restore-service
with:
  target: {machine: system, host: "{instance}"}
  remedies: [reboot]
  evidence: [units, disk, kernel-log]
  verify: {check: missing_for, stable: 1m, within: 5m}
---
**Meaning.** m
**Impact.** i
## Diagnosis
d
## Mitigation
m
"""


def services(text: str = SERVICES) -> Services:
    return parse_services(text, "services.yaml")


def test_a_machine_s_claim_covers_every_target_on_it_and_none_elsewhere() -> None:
    found = services()
    whole = found.by_id("web-7/machine:system")
    assert whole is not None
    assert whole.overlapping == ("web-7/app.service", "web-7/till")
    parts = [found.by_id(name) for name in ("web-7/app.service", "web-7/till", "web-8/app.service")]
    assert [part.overlapping for part in parts if part] == [(whole.id,), (whole.id,), ()]


def test_a_reboot_has_a_time_of_its_own() -> None:
    whole = services().by_id("web-7/machine:system")
    assert whole is not None
    assert kind.time_for(whole, "reboot") == timedelta(minutes=20)


def test_a_runbook_may_reboot_a_machine_and_nothing_else_of_it() -> None:
    assert parse(RUNBOOK, "stuck.md").remedies[0].offered == "reboot"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{units: [app]}", "units"),
        ("{units: ['app.service --now']}", "units"),
        ("{reboot_within: 10s}", "too short"),
        ("{reboot_within: 2h}", "too long"),
        ("{after: 1m}", "after"),
    ],
)
def test_what_services_yaml_cannot_say_is_refused(written: str, why: str) -> None:
    text = SERVICES.replace("{units: [app.service], reboot_within: 20m}", written)
    with pytest.raises(BadDocument, match=why):
        services(text)


def test_two_entries_for_one_machine_are_one_too_many() -> None:
    with pytest.raises(BadDocument, match="listed twice"):
        services(SERVICES + "      - {host: web-7, machine: {}}\n")
