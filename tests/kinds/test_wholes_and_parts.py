"""A kind says which targets are parts of its own: a claim or an open act on a whole keeps its parts, and on a part its whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_target import JOB
from store_states import ALIVE, DEADLINE, FREE, claimed, intended, opened, working

from paramedic.catalog.services import Services, parse_services
from paramedic.kinds import plugin_folder
from paramedic.remediation.guardrail import Refusal
from paramedic.store import Store, acts, attempts, claims, intents
from paramedic.store.guardrail_facts import Around

#: Machines: what runs on one is a part of it.
MACHINE = (
    JOB.replace('LABEL = "job"', 'LABEL = "cabinet"')
    + "\n\ndef covers(whole, part):\n    return part.host == whole.host\n"
)

SERVICES = """\
services:
  shop:
    targets:
      - {host: web-1, supervisord: {program: api, address: "unix:///s"}}
      - {host: web-1, systemd: db.service}
      - {host: web-2, systemd: db.service}
  machines:
    targets:
      - {host: web-1, cabinet: {name: web-1, file: /m}}
      - {host: web-3, cabinet: {name: web-3, file: /m}}
"""

HOST, API, UNIT = "web-1/cabinet:web-1", "web-1/api", "web-1/db.service"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    (tmp_path / "targets").mkdir(mode=0o755)
    (tmp_path / "targets" / "cabinet.py").write_text(MACHINE)
    plugin_folder.use(tmp_path)
    yield parse_services(SERVICES, "services.yaml")
    plugin_folder.use(None)


def test_each_target_knows_its_parts_or_what_it_is_a_part_of(services: Services) -> None:
    assert {target.id: target.overlapping for target in services} == {
        API: (HOST,),
        UNIT: (HOST,),
        "web-2/db.service": (),
        HOST: (API, UNIT),
        "web-3/cabinet:web-3": (),
    }


def test_parts_of_one_whole_are_changed_side_by_side(timed: Store, services: Services) -> None:
    for target in (API, UNIT):
        with timed.record() as tx:
            number = opened(tx, target=target)
            assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
            intended(tx, claimed(tx, number))


@pytest.mark.parametrize(("first", "second"), [(HOST, UNIT), (UNIT, HOST)])
def test_an_open_act_keeps_a_whole_and_its_part_apart_whoever_has_the_claim(
    timed: Store, services: Services, first: str, second: str
) -> None:
    begun = working(timed, target=first)
    with timed.record() as tx:
        act = intended(tx, begun)
        claims.release(tx, begun)
    claim = working(timed, target=second)
    around = Around(overlapping=services.targets[second].overlapping)

    def judged() -> object:
        with timed.record() as tx:
            return intents.intend(
                tx, claim, rung=1, remedy="restart", identity=ALIVE, deadline=DEADLINE, limits=FREE, around=around
            )

    no = judged()
    assert isinstance(no, Refusal)
    assert (no.guardrail, no.reason) == ("open act", f"{act.words} has no outcome yet")
    with timed.record() as tx:
        acts.close(tx, act, result="cured", why="well", actor=begun.holder)
    assert not isinstance(judged(), Refusal)
