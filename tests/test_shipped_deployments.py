"""What is in `deployments/systemd` fits the code and the page: settings that exist, the same bounds for each unit, no secret."""

import fnmatch
import re
from pathlib import Path

import pytest
from built_image import HARDENED
from production_page import all_blocks, blocks
from shipped_containers import COMPOSE

from paramedic.settings import ROOT, Settings
from paramedic.store.running_processes import ROLES

SYSTEMD = ROOT / "deployments" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))

#: What is no process of Paramedic's has more: it needs to see no other process.
STRICTER = {"ProtectProc=invisible", "ProcSubset=pid"}

#: Directives that no unit may be without, with what a role has in place of the folder that one machine's unit writes to.
FOLDER = "ReadWritePaths="


def unknown(text: str) -> list[str]:
    """The variables of ours in the text that no setting has."""
    known = {f"PARAMEDIC_{name.upper()}" for name in Settings.model_fields}
    return sorted(set(re.findall(r"\bPARAMEDIC_[A-Z0-9_]+", text)) - known)


def directives(unit: Path) -> list[str]:
    return [line for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)]


def bounds(unit: Path) -> set[str]:
    """What the unit's processes may not, from the folders that they may write to on."""
    lines = directives(unit)
    first = lines.index("ProtectSystem=strict")
    return {line for line in lines[first:] if not line.startswith((FOLDER, "WantedBy="))}


def test_every_variable_is_one_of_a_setting() -> None:
    assert unknown("".join(path.read_text() for path in (*UNITS, *SYSTEMD.glob("*.env")))) == []
    assert unknown("PARAMEDIC_STORE_URL=x\n#PARAMEDIC_STOER_URL=x") == ["PARAMEDIC_STOER_URL"]


def test_every_variable_of_prefect_is_one_that_compose_gives_or_a_place() -> None:
    """Which Prefect reads: those of compose are played, and one that is not known changes nothing."""
    places = {
        "PREFECT_HOME",
        "PREFECT_SERVER_API_HOST",
        "PREFECT_SERVER_API_PORT",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY",
    }
    secret = {"PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_REDIS_MESSAGING_URL", "PREFECT_SERVER_DOCKET_URL"}
    known = set(re.findall(r"\bPREFECT_[A-Z_]+", (COMPOSE / "compose.yaml").read_text()))
    known |= places | secret | {"PREFECT_SERVER_API_AUTH_STRING"}
    tls = "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS"  # each is played in tests/real/test_deployed_roles.py
    known |= {f"{tls}_ENABLED", f"{tls}_CA_FILE"}
    named = set(re.findall(r"\bPREFECT_[A-Z_]+", "".join(path.read_text() for path in SYSTEMD.glob("prefect*"))))
    assert named == known


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_has_the_bounds_of_the_first(unit: Path) -> None:
    first = bounds(SYSTEMD / "paramedic.service")
    assert len(first) > 20
    assert bounds(unit) == first | (STRICTER if unit.name.startswith("prefect") else set())
    lines = directives(unit)
    assert {"LimitCORE=0", "UMask=0077"} <= set(lines)
    assert ("User=paramedic" in lines) != ("DynamicUser=yes" in lines)
    writes = [line for line in lines if line.startswith((FOLDER, "StateDirectory="))]
    assert len(writes) == 1, "one folder to write to"
    assert re.fullmatch(r"ReadWritePaths=/srv/paramedic/data|StateDirectory=[a-z-]+(/%i|/migrate)?", writes[0]), writes


@pytest.mark.parametrize("unit", [unit for unit in UNITS if "migrate" not in unit.name], ids=lambda unit: unit.name)
def test_each_that_goes_on_is_watched_and_started_again(unit: Path) -> None:
    lines = directives(unit)
    assert {"Type=notify", "NotifyAccess=main", "Restart=always", "StartLimitIntervalSec=0"} <= set(lines)
    [watchdog] = [line for line in lines if line.startswith("WatchdogSec=")]
    assert watchdog in ("WatchdogSec=1min", "WatchdogSec=2min")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_unit_has_a_secret(unit: Path) -> None:
    """They are in files of root's; whoever may ask systemd is told what a unit's `Environment=` says."""
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation) + str(field)}
    assert {"store_url", "gateway_tokens", "prefect_api_auth", "smtp_url"} <= secret
    given = re.findall(r"(\w+)=", " ".join(line for line in directives(unit) if line.startswith("Environment=")))
    assert not {f"PARAMEDIC_{name.upper()}" for name in secret} & set(given)
    assert not [name for name in given if re.search(r"URL|AUTH|PASSWORD|TOKEN", name)]


def test_the_schema_comes_before_each_role_that_works_on_the_store_and_not_before_who_pages() -> None:
    migrate = dict(line.split("=", 1) for line in directives(SYSTEMD / "paramedic-migrate.service"))
    assert migrate["Before"].split() == [f"paramedic@{role}.service" for role in ROLES if role != "watchdog"]
    assert (
        "paramedic-migrate.service"
        in dict(line.split("=", 1) for line in directives(SYSTEMD / "paramedic@.service"))["Wants"]
    )


def test_every_block_of_commands_on_the_page_is_played() -> None:
    """One that comes new has to be played too, or to be named here with the reason why not."""
    unit, roles = (ROOT / "tests" / "real" / f"test_deployed_{name}.py" for name in ("unit", "roles"))
    text = "".join(path.read_text() for path in (unit, roles, ROOT / "tests" / "deployed_roles.py"))
    played = set(re.findall(r'blocks\("([^"]+)"\)', text))
    by_its_own_words = {"Containers"}  # tests/real/test_image.py, on an image of its own
    assert set(all_blocks()) == played | by_its_own_words
    assert {heading: len(found) for heading, found in all_blocks().items() if len(found) > 1} == {
        "Where it runs": 3,
        "Units for each role": 2,
    }


def test_the_image_is_tried_with_the_rights_that_the_page_gives_it() -> None:
    starts = re.findall(r"podman run .*", blocks("Containers")[0])
    assert len(starts) == 2
    for start in starts:
        assert [right for right in HARDENED if right.replace("=", " ") not in start] == []


def test_the_page_installs_every_file_and_makes_what_the_units_name() -> None:
    install = "".join(blocks("Where it runs") + blocks("Units for each role"))
    words = install.split()
    for file in SYSTEMD.iterdir():
        assert any(fnmatch.fnmatch(f"deployments/systemd/{file.name}", word) for word in words), (
            f"{file.name} stays where it is"
        )
    for unit in UNITS:
        given = dict(line.split("=", 1) for line in directives(unit))
        for name in ("EnvironmentFile", "WorkingDirectory", FOLDER.rstrip("="), "User"):
            made = given.get(name, "").removeprefix("-")
            if made.startswith("/var/lib/"):
                assert made == f"/var/lib/{given['StateDirectory']}"
                continue
            folder, _, file = made.rpartition("/")
            assert (
                not made or re.search(rf"{re.escape(made)}(?![\w/-])", install) or (file in install and folder in words)
            ), made
    assert "/etc/paramedic/link.key" in words
