"""Every recorded body of tests/payloads is read as its folder's expected.yaml says (payloads/README.md: where they are from)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from paramedic.alerts.alert import Alert
from paramedic.alerts.reading import BadPayload
from paramedic.alerts.severity_words import DEFAULT
from paramedic.kinds.registry import Registry, Room

PAYLOADS = Path(__file__).parents[1] / "payloads"
FOLDERS = sorted(file.parent for file in PAYLOADS.glob("*/expected.yaml"))


def _expected(folder: Path) -> dict[str, Any]:
    expected: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text())
    return expected


CASES = [(folder.name, name) for folder in FOLDERS for name in _expected(folder)]


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_a_recorded_body_is_read_as_expected(folder: str, name: str) -> None:
    words = _expected(PAYLOADS / folder)[name]
    source = Registry().plugin(Room.SOURCES, words.get("source", folder.replace("-", "_")))
    body = (PAYLOADS / folder / name).read_bytes()
    if "refused" in words:
        with pytest.raises(BadPayload) as refused:
            source.read(words.get("headers", {}), body)
        assert refused.value.field == words["refused"]
        return
    reading = source.read(words.get("headers", {}), body)
    assert [
        _as_expected(alert, wanted) for alert, wanted in zip(reading.alerts, words.get("alerts", []), strict=True)
    ] == (words.get("alerts", []))
    assert len(reading.bad) == words.get("bad", 0)
    assert [aside.what for aside in reading.asides] == words.get("asides", [])
    assert [aside.tell for aside in reading.asides] == words.get("told", [False] * len(reading.asides))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_recorded_body_is_left_out(folder: Path) -> None:
    files = {file.name for file in folder.iterdir()} - {"expected.yaml"}
    assert files == set(_expected(folder))


def _as_expected(alert: Alert, wanted: dict[str, Any]) -> dict[str, Any]:
    """What is known of the alert, of that which is wanted of it."""
    judged = DEFAULT.judged(alert)
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        own = getattr(judged, key)
        if isinstance(value, dict):
            own = {name: own.get(name) for name in value}
        elif isinstance(value, list):
            own = list(own)
        elif key == "severity":
            own = "info" if judged.informational else own.value
        elif key == "status":
            own = own.value
        found[key] = own
    return found
