"""A channel in a team's own folder is used as a shipped one is, with no other file touched."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from incident_states import handed_over, on_call, pager_entries
from plugins_page import EXAMPLES

from paramedic.catalog.runbook_file import parse
from paramedic.cli.doctor import _plugins
from paramedic.errors import PermanentError
from paramedic.kinds import plugin_folder
from paramedic.kinds.registry import Room
from paramedic.oncall.contact import parse_contact_method
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.paging import Pager
from paramedic.paging.channel_settings import channel_settings
from paramedic.settings import Channel, Settings
from paramedic.store import Store
from paramedic.text.yaml_document import BadDocument

#: The whole example of the page.
PIGEON = EXAMPLES[Room.CHANNELS]

PEOPLE = """\
people:
  ada: {name: Ada, ways: ["pigeon:north"]}
  bob: {name: Bob, ways: ["pigeon:south"]}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies:
  default: {rungs: [{tell: oncall}, {tell: bob, after: 10m}], repeat: 30m}
"""


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    (folder / "channels").mkdir(parents=True)
    (folder / "channels" / "pigeon.py").write_text(PIGEON)
    (folder / "channels" / "lame.py").write_text(PIGEON.replace("ABLE =", "UNABLE ="))
    plugin_folder.use(folder)
    yield folder
    plugin_folder.use(None)


@pytest.fixture
def settings(tmp_path: Path, plugins: Path) -> Settings:
    lofts = {name: Channel.model_validate({"loft": str(tmp_path / name)}) for name in ("north", "south")}
    return Settings(data=tmp_path / "data", plugins=plugins, channels=lofts)


def carried(tmp_path: Path, loft: str) -> list[dict[str, Any]]:
    file = tmp_path / loft
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_page_leaves_by_it_with_its_short_form_and_link(timed: Store, settings: Settings, tmp_path: Path) -> None:
    incident = handed_over(timed)
    assert Pager(timed, settings, on_call(PEOPLE)).deliver_due() == 1
    [page] = carried(tmp_path, "north")
    assert (page["to"], page["kind"], page["incident"], page["severity"]) == ("ada", "page", incident.id, "critical")
    [link] = page["links"]
    assert "/ack/" in link
    assert page["short"].endswith(link)
    assert len(page["short"]) <= 300
    assert pager_entries(timed) == [("person.told", "ada was told by pigeon:north")]


def test_a_runbook_names_it_in_notify() -> None:
    text = (Path(__file__).parents[2] / "runbooks" / "tracking-api-memory.md").read_text()
    head, _, rest = text.partition("\n")
    runbook = parse(f"{head}\nnotify: [pigeon:north]\n{rest}", "tracking-api-memory.md")
    assert [str(way) for way in runbook.notify] == ["pigeon:north"]


def test_its_later_is_tried_again(timed: Store, settings: Settings, tmp_path: Path) -> None:
    handed_over(timed)
    tmp_path.joinpath("north.closed").touch()
    assert Pager(timed, settings, on_call(PEOPLE)).deliver_due() == 0
    assert pager_entries(timed) == []
    assert (carried(tmp_path, "north"), carried(tmp_path, "south")) == ([], [])


def test_its_no_is_a_no_and_the_next_person_is_told(timed: Store, settings: Settings, tmp_path: Path) -> None:
    handed_over(timed)
    gone = settings.channels | {"north": Channel.model_validate({"loft": str(tmp_path / "gone" / "north")})}
    pager = Pager(timed, settings.model_copy(update={"channels": gone}), on_call(PEOPLE))
    pager.deliver_due()
    pager.deliver_due()
    assert [page["to"] for page in carried(tmp_path, "south")] == ["bob"]
    assert "pigeon:north: there is no such loft" in pager_entries(timed)[0][1]


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("pigon:north", "did you mean pigeon:LOFT"),
        ("pigeon:n/s", "a channel's name has letters"),
        ("lame:north", "the plug-in lame of channels .*lame.py.* cannot be used: it has no 'ABLE'"),
    ],
)
def test_lint_names_a_wrong_one_in_words(way: str, says: str) -> None:
    with pytest.raises(BadDocument, match=says):
        parse_oncall(PEOPLE.replace("pigeon:north", way), "oncall.yaml")


def test_doctor_names_a_broken_one(settings: Settings) -> None:
    found = _plugins(settings)
    assert not found.well
    assert "lame.py) cannot be used: it has no 'ABLE'" in found.words


@pytest.mark.parametrize(
    ("given", "says"),
    [({}, "channels.north has no `loft`"), ({"loft": "x", "wing": "y"}, "channels.north: `wing`: Extra inputs")],
)
def test_what_its_settings_lack_is_named(settings: Settings, given: dict[str, str], says: str) -> None:
    wrong = settings.model_copy(update={"channels": {"north": Channel.model_validate(given)}})
    with pytest.raises(PermanentError, match=says):
        channel_settings(wrong, parse_contact_method("pigeon:north"))
