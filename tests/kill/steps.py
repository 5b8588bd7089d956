"""Steps that several stories take."""

import os
import signal
from typing import Any

from kill.driver import Driver, gone, wait_for

from paramedic.demo.world import Service
from paramedic.store import trail as stored_trail
from paramedic.store.tables import inbox


def on_web_2(*names: str) -> list[tuple[str, str, str]]:
    """Services that work until a story breaks them."""
    return [(name, "web-2", "") for name in names]


def stands(whole: Driver, name: str, point: str) -> int:
    """Break the service, send its alert, and hold its run at the boundary; the run's process."""
    service = whole.service(name)
    whole.prefect_is_well()
    whole.break_it(service)
    whole.arm(point, service)
    assert whole.send(whole.alert(service)).status_code == 202
    return whole.stands_at(point, service)


def wakes_and_ends(whole: Driver, service: Service, pid: int, point: str) -> None:
    whole.release(point, service)
    os.kill(pid, signal.SIGCONT)
    wait_for("the woken run's end", lambda: gone(pid), whole.tick, seconds=60)


def set_state(whole: Driver, flow_run: str, **state: Any) -> None:
    """As the Prefect UI does it."""
    whole.ask_prefect("POST", f"/flow_runs/{flow_run}/set_state", json={"state": state})


def whats(whole: Driver, number: int) -> list[str]:
    with whole.store.read() as tx:
        return [entry.what for entry in stored_trail.entries(tx, incident=number)]


def has_a_bad_release(whole: Driver, name: str, *, reversible: bool | None = True) -> Service:
    """v2 answers nothing but errors, and runs. Its starts are two: the first, and that into v2."""
    service = whole.service(name)
    service.deploy("v2", reversible=reversible, errors=1.0)
    whole.world.restart(service)
    return service


def is_overtaken(whole: Driver, service: Service) -> None:
    """supervisord starts another process than the last act is about, which waits for its first byte."""
    act = whole.acts_of(whole.incidents_on(service)[0])[-1]
    before = service.starts
    if act.identity.instance["pid"] is None:  # it was judged between two processes: whatever runs next is another
        return
    os.kill(act.identity.instance["pid"], signal.SIGKILL)
    wait_for("supervisord's own restart", lambda: service.starts == before + 1, whole.tick, seconds=60)


def undecided(whole: Driver) -> int:
    with whole.store.read() as tx:
        return len(tx.conn.execute(inbox.select().where(inbox.c.state == "new")).all())
