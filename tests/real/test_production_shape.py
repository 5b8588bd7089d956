"""The production shape on one machine: two of each, one killed in turn under alerts: none is lost, none acted on twice."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from kill.driver import Driver, gone, verify, wait_for
from production_machines import ROLES, Machines, producing
from production_servers import Servers

from paramedic.demo.world import Service, text_of
from paramedic.incidents.outcome import Ending

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1500)]

#: Each story has services of its own; how many.
STORIES = dict.fromkeys(
    ("gateway", "dispatch", "watchdog", "responder", "acting", "prefect", "redis", "nginx", "lost"), 2
)
STORIES["postgres"] = 5


@dataclass
class Production:
    driver: Driver
    servers: Servers
    machines: Machines

    def breaks(self, story: str) -> list[Service]:
        """Its services, broken."""
        services = self.driver.services([f"{story}-{number + 1}" for number in range(STORIES[story])])
        for service in services:
            self.driver.break_it(service)
        return services

    def alerts(self, *services: Service) -> None:
        """By nginx, until a 202, as Alertmanager does; each a second time, since it repeats them."""
        for service in services * 2:
            assert self.driver.send(self.driver.alert(service)).status_code == 202

    def heals(self, *services: Service) -> None:
        """Each is restarted exactly once, in one incident, with one run for each of its attempts."""
        for service in services:
            incident = self.driver.ended(service, seconds=400)
            assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), self.driver.told_of(service)
            assert len(self.driver.acts_of(incident)) == 1
            runs = f"SELECT count(*) FROM flow_run WHERE tags @> '[\"{incident.id}\"]'"
            assert self.servers.postgres.run(runs, "prefect") == [(incident.attempt,)]

    def kill(self, role: str, machine: str) -> psutil.Process:
        process = self.machines.process(role, machine)
        os.kill(process.pid, signal.SIGKILL)
        return process

    def is_whole_again(self, machine: str) -> None:
        wait_for(machine, lambda: self.machines.is_whole(machine), self.driver.tick, seconds=60)


@pytest.fixture(scope="module")
def production(require: Callable[[str], str]) -> Iterator[Production]:
    services = [(f"{story}-{number + 1}", "web-1", "") for story, count in STORIES.items() for number in range(count)]
    with (
        tempfile.TemporaryDirectory(prefix="ps-") as folder,
        tempfile.TemporaryDirectory(prefix="paramedic-pg-") as pg_folder,
    ):
        Path(folder).chmod(0o755)
        with producing(require, Path(folder), Path(pg_folder), services) as (driver, servers, machines):
            yield Production(driver, servers, machines)


@pytest.mark.parametrize(("role", "machine"), [("gateway", "web-a"), ("dispatch", "web-b"), ("watchdog", "web-a")])
def test_with_one_killed_the_other_goes_on(production: Production, role: str, machine: str) -> None:
    services = production.breaks(role)
    production.alerts(services[0])
    production.kill(role, machine)
    production.alerts(services[1])
    production.heals(*services)
    production.is_whole_again(machine)


def test_what_a_killed_responder_had_begun_is_taken_up_by_the_other(production: Production) -> None:
    [first, second] = production.breaks("responder")
    production.driver.arm("evidence_taken", first)
    production.alerts(first)
    engine = production.driver.stands_at("evidence_taken", first)
    machine = production.machines.machine_of(engine)
    production.kill("responder", machine)
    wait_for("the death of its run", lambda: gone(engine), production.driver.tick)
    production.driver.release("evidence_taken", first)
    production.alerts(second)
    production.heals(first, second)
    production.is_whole_again(machine)


def test_a_responder_killed_in_mid_act_is_followed_by_no_second_act(production: Production) -> None:
    [first, second] = production.breaks("acting")
    production.driver.arm("act_sent", first)
    production.alerts(first)
    engine = production.driver.stands_at("act_sent", first)
    machine = production.machines.machine_of(engine)
    production.kill("responder", machine)
    wait_for("the death of its run", lambda: gone(engine), production.driver.tick)
    production.driver.release("act_sent", first)
    production.alerts(second)
    production.heals(second)
    incident = production.driver.ended(first, seconds=150)
    assert (first.starts, len(production.driver.acts_of(incident))) == (2, 1), production.driver.told_of(first)
    production.is_whole_again(machine)


@pytest.mark.parametrize("number", [0, 1])
def test_with_one_prefect_server_killed_the_other_goes_on(production: Production, number: int) -> None:
    service = production.driver.service(f"prefect-{number + 1}")
    production.driver.break_it(service)
    prefect = production.servers.prefects[number]
    prefect.kill()
    production.alerts(service)
    production.heals(service)
    prefect.start()
    prefect.is_ready()


def test_while_redis_is_away_a_person_has_what_prefect_cannot_run_and_healing_goes_on_when_it_is_back(
    production: Production,
) -> None:
    """Prefect's servers create no run without it."""
    [first, second] = production.breaks("redis")
    production.servers.redis.kill()
    production.alerts(first)
    incident = production.driver.ended(first, seconds=150)
    assert (incident.ending, first.starts) == (Ending.HANDED_OVER, 1), production.driver.told_of(first)
    assert "Prefect could not be asked to run it" in (incident.because or "")
    assert production.driver.mailbox.about(incident.id)
    production.servers.redis.start()
    production.servers.redis.is_ready()
    production.alerts(second)
    production.heals(second)


def test_while_postgresql_is_away_no_alert_is_taken_and_what_was_begun_is_finished_once_it_is_back(
    production: Production,
) -> None:
    """Runs stand before their intent, before and after the first byte of their act as it is killed; they go on without it.

    The lease of each has run out by then. Of a run that has sent nothing that is a refusal, which a person hears of, unless the
    store's absence ended it: then its next attempt acts.
    """
    driver, database = production.driver, production.servers.database
    *held, taken, refused = production.breaks("postgres")
    points = dict(zip(("evidence_taken", "intent_written", "act_sent"), held, strict=True))
    for point, service in points.items():
        driver.arm(point, service)
    production.alerts(*held)
    for point, service in points.items():
        driver.stands_at(point, service)
    production.alerts(taken)
    database.kill()
    alert = driver.alert(refused)
    assert {driver.send_once(alert).status_code for _ in range(10)} == {503}
    for point, service in points.items():
        driver.release(point, service)
    wait_for(
        "a word that it is away", lambda: driver.mailbox.about("the store does not answer"), driver.tick, seconds=120
    )
    driver.send_meanwhile(alert)
    database.start()
    production.heals(taken, refused)
    for point, service in points.items():
        incident = driver.ended(service, seconds=400)
        sent = [act for act in driver.acts_of(incident) if act.result != "not_sent"]
        healed = (Ending.REMEDIATED, 2, 1)
        ends = {healed} if point == "act_sent" else {healed, (Ending.REFUSED, 1, 0)}
        assert (incident.ending, service.starts, len(sent)) in ends, driver.told_of(service)
        assert driver.mailbox.about(incident.id)
    wait_for("a word that it is back", lambda: driver.mailbox.about("the store answers again"), driver.tick, seconds=60)
    for machine in production.machines.ups:
        production.is_whole_again(machine)
    assert driver.mailbox.about("gone") == []  # of the processes that could not show that they live


def test_alerts_come_in_again_with_nginx_and_were_repeated_until_then(production: Production) -> None:
    services = production.breaks("nginx")
    production.servers.nginx.kill()
    for service in services:
        production.driver.send_meanwhile(production.driver.alert(service))
    production.servers.nginx.start()
    production.heals(*services)


def test_a_machine_that_is_gone_is_told_and_the_other_does_its_work(production: Production) -> None:
    services = production.breaks("lost")
    production.alerts(services[0])
    production.machines.lose("web-b")
    production.alerts(services[1])
    production.heals(*services)
    mailbox = production.driver.mailbox
    wait_for("a word about it", lambda: mailbox.about("are gone"), production.driver.tick, seconds=150)
    [told] = mailbox.about("are gone")
    assert all(f"- {role}: 1" in text_of(told) for role in ROLES), text_of(told)


def test_at_the_end_every_alert_has_its_decision_and_the_trail_is_whole(production: Production) -> None:
    verify(production.driver)
