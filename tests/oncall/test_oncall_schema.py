"""The JSON Schemas of what authors write name the kinds of channels that are installed, so that an editor completes them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from paramedic.catalog import runbook_file
from paramedic.kinds import plugin_folder
from paramedic.oncall import oncall_file

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()

#: The whole channel of the page.
PIGEON = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if '"LOFT"' in block)


@pytest.fixture
def pigeon(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "channels").mkdir(mode=0o755)
    (tmp_path / "channels" / "pigeon.py").write_text(PIGEON)
    plugin_folder.use(tmp_path)
    yield
    plugin_folder.use(None)


def file(*ways: str) -> dict[str, Any]:
    return {
        "people": {"ada": {"name": "Ada", "ways": list(ways)}},
        "rotation": {"zone": "UTC", "starts": "2026-01-05 09:00", "every": "1 week", "people": ["ada"]},
        "policies": {"default": {"rungs": [{"tell": "oncall"}, {"tell": "ada", "after": "5m"}], "repeat": "30m"}},
    }


def problems(document: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft202012Validator(oncall_file.schema()).iter_errors(document)]


def test_the_file_that_is_documented_is_right_and_another_key_or_word_is_not() -> None:
    assert problems(file("email:ada@example.org", "apprise:chat")) == []
    assert problems(file() | {"peple": {}}) == ["$"]
    turned = file()
    turned["rotation"]["every"] = "2 weeks"
    assert problems(turned) == ["$.rotation.every"]


def test_a_kind_of_channel_that_is_not_installed_is_named_with_its_place() -> None:
    assert problems(file("pigeon:loft")) == ["$.people.ada.ways[0]"]


def test_one_of_a_team_s_own_is_completed_in_both_schemas(pigeon: None) -> None:
    assert problems(file("pigeon:loft")) == []
    notify = runbook_file.schema()["properties"]["notify"]["items"]
    assert notify == oncall_file.schema()["$defs"]["_Person"]["properties"]["ways"]["items"]
    assert notify["examples"] == ["apprise:NAME", "email:ada@example.org", "pigeon:LOFT", "webhook:NAME"]
    assert notify["pattern"] == "^(apprise|email|pigeon|webhook):"
