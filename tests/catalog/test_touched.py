"""Which services a change touches, and what their runbooks ask: as services.yaml and the runbooks' files say."""

from pathlib import Path

import pytest
from incident_states import PEOPLE
from playbook_runs import FOUR_HOSTS, MEMORY

from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.runbook_file import service_of
from paramedic.catalog.touched import touched_by
from paramedic.remediation.guardrail import AtOnce
from paramedic.remediation.quorum import Quorum
from paramedic.remediation.touched import ServiceLimits, Touched

MACHINE, UNIT = "web-1/machine:system", "web-1/tracking-api"
LISTED = (
    FOUR_HOSTS
    + """\
  machines:
    targets:
      - {host: web-1, machine: {}}
      - {host: web-2, machine: {}}
  shop:
    targets:
      - {host: web-1, systemd: shop.service}
      - {host: web-5, systemd: shop.service}
"""
)
ASKING = "cooldown: 10m, budget: 3 per hour, service_budget: 5 per hour, at_once: 2 of 4"


def asking(name: str, guardrails: str) -> str:
    return MEMORY.replace("runbook: tracking-api-memory", f"runbook: {name}").replace(ASKING, guardrails)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "services.yaml").write_text(LISTED)
    (tmp_path / "oncall.yaml").write_text(PEOPLE)
    return tmp_path


def touched(folder: Path, target: str = MACHINE) -> dict[str, Touched]:
    library = read_folder(folder)
    return {one.service: one for one in touched_by(library.services.targets[target], library)}


def test_a_change_of_a_whole_touches_its_own_service_and_those_of_its_parts(folder: Path) -> None:
    found = touched(folder)
    assert {name: (one.taken, one.has_parts) for name, one in found.items()} == {
        "machines": ((MACHINE,), False),
        "tracking": ((UNIT,), True),
        "shop": (("web-1/shop.service",), True),
    }
    assert found["machines"].others == {"web-2/machine:system": ("web-2/tracking-api",)}
    assert found["tracking"].others == {
        "web-2/tracking-api": ("web-2/machine:system",),
        "web-3/tracking-api": (),
        "web-4/tracking-api": (),
    }
    assert found["shop"].members == 2


def test_a_change_of_a_part_touches_its_own_service_alone(folder: Path) -> None:
    [(service, found)] = touched(folder, UNIT).items()
    assert (service, found.taken, found.has_parts, found.limits) == ("tracking", (UNIT,), False, ())
    assert set(found.others) == {f"web-{number}/tracking-api" for number in (2, 3, 4)}


def test_every_runbook_of_the_parts_service_asks_whatever_its_mode_and_each_wish_once(folder: Path) -> None:
    (folder / "one.md").write_text(asking("one", "keep_healthy: 2 of 4"))
    (folder / "same.md").write_text(asking("same", "keep_healthy: 2 of 4, cooldown: 10m"))
    (folder / "two.md").write_text(
        asking("two", "keep_healthy: 75%, at_once: 1 of 4").replace("mode: act", "mode: observe")
    )
    (folder / "nothing.md").write_text(asking("nothing", "cooldown: 10m"))
    found = touched(folder)
    assert found["tracking"].limits == (
        ServiceLimits("one", Quorum("2 of 4", 2, 4)),
        ServiceLimits("two", Quorum("75%", 75, 100), AtOnce(1, 4)),
    )
    assert (found["shop"].limits, found["machines"].limits) == ((), ())
    assert [one.unknown for one in found.values()] == [None, None, None]
    assert all(limits.counts_healthy for limits in found["tracking"].limits)
    assert not ServiceLimits("r", None, AtOnce(1, 4)).counts_healthy
    assert ServiceLimits("r", None, AtOnce(2, 4)).counts_healthy


@pytest.mark.parametrize(
    ("text", "of"),
    [
        (asking("broken", "keep_healthy: 9 of 4"), {"tracking"}),  # its keys can be read
        (asking("broken", "keep_healthy: 3 of 9"), {"tracking"}),  # it does not agree with services.yaml
        (asking("broken", "keep_healthy: ["), {"tracking"}),  # its YAML cannot be read
        (asking("broken", "[").replace("service: tracking", "# nothing says whose it is"), {"tracking", "shop"}),
        (asking("broken", "[").replace("service: tracking", "service: another"), set()),
        ("# Notes\nNo front matter: it is no runbook.\n", set()),
    ],
)
def test_what_a_service_asks_is_not_known_while_a_runbook_of_it_cannot_be_used(
    folder: Path, text: str, of: set[str]
) -> None:
    (folder / "broken.md").write_text(text)
    found = touched(folder)
    assert {name for name, one in found.items() if one.unknown is not None} == of
    for name in of:
        assert f"a runbook of it cannot be used: {folder}/broken.md:" in str(found[name].unknown)


def test_a_file_that_cannot_be_read_at_all_may_be_of_any_service(folder: Path) -> None:
    (folder / "broken.md").write_bytes(b"---\nservice: \xff\n---\n")
    assert {name for name, one in touched(folder).items() if one.unknown is not None} == {"tracking", "shop"}


def test_a_runbook_that_is_well_breaks_nothing(folder: Path) -> None:
    (folder / "one.md").write_text(asking("one", "cooldown: 10m"))
    library = read_folder(folder)
    assert (library.broken, Library.unusable(()).broken) == ((), ())


@pytest.mark.parametrize(
    ("line", "service"),
    [
        ("service: tracking-api", "tracking-api"),
        ("service:   'the shop'  # ours", "the shop"),
        ('service: "shop"', "shop"),
        ("  service: shop", None),
        ("services: shop", None),
        ("service: [shop]", None),
        ("service: shop\nservice: till", None),
    ],
)
def test_the_service_of_a_broken_runbook_is_told_by_one_line_of_its_front_matter(
    line: str, service: str | None
) -> None:
    assert service_of(f"---\n{line}\n---\nservice: prose\n") == service
