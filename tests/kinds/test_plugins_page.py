"""Each plug-in of docs/plugins.md is whole: it is found, has its face, and does what the page says of it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from plugins_page import EXAMPLES, blocks

from paramedic.alerts.reading import BadPayload
from paramedic.kinds.registry import Registry, Room


@pytest.fixture
def own(tmp_path: Path) -> Registry:
    for room, text in EXAMPLES.items():
        (tmp_path / room).mkdir()
        (tmp_path / room / f"{room[:-1]}_of_the_page.py").write_text(text)
    return Registry(tmp_path)


def plugin(own: Registry, room: Room) -> Any:
    return own.plugin(room, f"{room[:-1]}_of_the_page")


def test_every_kind_has_its_example_and_none_is_broken(own: Registry) -> None:
    assert set(EXAMPLES) == set(Room)
    assert len(blocks("python")) == len(Room)
    assert own.broken() == ()
    assert all(plugin(own, room) for room in Room)


def test_the_source_reads_its_own_example_and_refuses_what_lacks_a_part(own: Registry) -> None:
    source = plugin(own, Room.SOURCES)
    [alert] = source.read({}, source.EXAMPLE.encode()).alerts
    assert (alert.name, alert.labels["instance"]) == ("slow", "web-1")
    lacking = {name: value for name, value in json.loads(source.EXAMPLE).items() if name != "message"}
    with pytest.raises(BadPayload, match="message"):
        source.read({}, json.dumps(lacking).encode())


def test_an_entry_point_of_the_page_is_of_a_group_that_is_looked_at() -> None:
    [text] = [block for block in blocks("toml") if "entry-points" in block]
    groups = tomllib.loads(text)["project"]["entry-points"]
    assert set(groups) <= {f"paramedic.{room}" for room in Room}
    assert all(":" not in module for group in groups.values() for module in group.values())
