"""A sender mapped by a few lines of YAML: each mapping of the docs reads the bodies that its sender really sent."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.mapping import MappedSource
from paramedic.alerts.reading import BadPayload, Reading
from paramedic.alerts.severity_words import DEFAULT
from paramedic.errors import PermanentError
from paramedic.kinds.registry import Registry, Room
from paramedic.text.yaml_document import BadDocument

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "sources" / "generic.md").read_text()

#: The mappings of the page, by the name of their sender.
MAPPINGS = dict(re.findall(r"```yaml\n# sources/([a-z]+)\.yaml\n(.*?)```", PAGE, re.DOTALL))


def _mapped(**about: Any) -> MappedSource:
    return MappedSource("own", json.dumps({"name": "$.name", **about}), "own.yaml")


def _read(body: Any, **about: Any) -> Reading:
    return _mapped(**about).read({}, json.dumps(body).encode())


def _recorded(file: str) -> Alert:
    source = MappedSource(name := file.partition("-")[0].replace("vmware", "vrealize"), MAPPINGS[name], f"{name}.yaml")
    (alert,) = source.read({}, (TESTS / "payloads" / "generic" / f"{file}.json").read_bytes()).alerts
    return DEFAULT.judged(alert)


@pytest.mark.parametrize(
    ("file", "status", "name", "severity", "instance", "start"),
    [
        ("graylog-stream-alert", "firing", "MESSAGE_COUNT", "warning", "127.0.0.1", "2015-09-10T09:45:54"),
        ("riemann-ok", "resolved", "servicejane", "warning", "hostbob", ""),
        ("splunk-missing-host", "firing", "sudo", "warning", None, "2017-01-04T19:14:32"),
        ("splunk-search-one-result", "firing", "sudo", "warning", "myserver", "2017-01-04T19:14:32"),
        ("uptimerobot-monitor-down", "firing", "Web Server", "warning", "server1.example.com", ""),
        ("uptimerobot-monitor-up", "resolved", "Mail Server", "warning", "server2.example.com", ""),
        ("vmware-vrealize-active", "firing", "sample-info", "warning", "sample-object-name", "2013-05-28T16:09:06"),
    ],
)
def test_the_mappings_of_the_page_read_what_was_really_sent(
    file: str, status: str, name: str, severity: str, instance: str | None, start: str
) -> None:
    alert = _recorded(file)
    assert (alert.status, alert.name, alert.severity, alert.labels.get("instance")) == (
        status,
        name,
        severity,
        instance,
    )
    assert not start or alert.starts_at.isoformat().startswith(start)
    assert "down_for" not in alert.annotations or "*" not in alert.annotations["down_for"]


def test_every_recorded_body_is_mapped() -> None:
    files = {file.stem for file in (TESTS / "payloads" / "generic").glob("*.json")}
    assert len(files) == 7
    assert all(_recorded(file) for file in files)


@pytest.mark.parametrize(
    ("status", "word", "means", "noted"),
    [
        (None, "whatever", Status.FIRING, False),
        ({"resolved": "ok"}, "OK", Status.RESOLVED, False),
        ({"resolved": "ok"}, "bad", Status.FIRING, False),
        ({"resolved": "ok", "firing": ["bad"]}, "odd", Status.FIRING, True),
        ({"acknowledged": "seen"}, "Seen", Status.ACKNOWLEDGED, False),
    ],
)
def test_its_words_say_whether_it_fires(status: Any, word: str, means: Status, *, noted: bool) -> None:
    about = {} if status is None else {"status": {"path": "$.status", **status}}
    (alert,) = _read({"name": "slow", "status": word}, identity="$.name", starts_at="$.at", **about).alerts
    assert alert.status is means
    assert any(note.startswith("status:") for note in alert.notes) is noted


def test_what_it_ignores_is_kept_beside_the_alerts() -> None:
    reading = _read({"name": "slow", "status": "test"}, status={"path": "$.status", "ignored": "test"})
    assert (reading.alerts, [aside.what for aside in reading.asides]) == ((), ["has a status that its mapping ignores"])


def test_each_entry_is_read_on_its_own_and_sees_the_whole_as_body() -> None:
    body = {"env": "prod", "alerts": [{"name": "a"}, {"no": "name"}, {"name": "b", "body": "own"}, 3]}
    reading = _read(body, each="$.alerts[*]", labels={"env": "$.body.env"})
    assert [(alert.name, alert.labels.get("env")) for alert in reading.alerts] == [("a", "prod"), ("b", None)]
    assert [bad.error for bad in reading.bad] == [
        "$.alerts[*][1]: there is no name at $.name",
        "$.alerts[*][3]: there is no name at $.name",
    ]
    nothing = _read({"alerts": []}, each="$.alerts[*]")
    assert [aside.what for aside in nothing.asides] == ["has nothing at $.alerts[*]"]


def test_the_first_path_that_finds_something_counts() -> None:
    (alert,) = _read({"title": "", "subject": "slow"}, name=["$.title", "$.subject"]).alerts
    assert alert.name == "slow"


def test_times_numbers_and_objects_are_taken_as_they_come() -> None:
    body = {"name": "slow", "at": 1769851800000, "n": 9007199254740993, "o": {"a": [1]}, "state": "ok"}
    about = {"starts_at": "$.at", "labels": {"n": "$.n", "o": "$.o"}}
    (alert,) = _read(body, **about).alerts
    assert (alert.starts_at, alert.labels["n"]) == (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "9007199254740993")
    assert alert.labels["o"] == '{"a":["1"]}'


def test_its_words_for_a_severity_come_before_the_table() -> None:
    def severity(word: str) -> Severity:
        about = {"severity": {"path": "$.level", "words": {"high": "warning"}}}
        return DEFAULT.judged(_read({"name": "x", "level": word}, **about).alerts[0]).severity

    assert (severity("HIGH"), severity("fatal"), severity("low")) == (
        Severity.WARNING,
        Severity.CRITICAL,
        Severity.WARNING,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about: x", "name: is missing"),
        ("name: name", "one begins with $"),
        ("name: $[", "is no JSONPath"),
        ("name: $.a\nlabels: {a-b: $.a}", "is no label's name"),
        ("name: $.a\nnmae: $.a", "nmae"),
        ("name: $.a\nseverity: {path: $.s, words: {high: dreadful}}", "own.yaml:2:31: severity.words.high"),
        ("name: $.a\nstatus: {firing: x}", "path"),
        ("name: []", "own.yaml:1"),
        ("- name", "own.yaml:1"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadDocument) as refused:
        MappedSource("own", text, "own.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("own.yaml:")


def test_more_entries_than_anybody_means_are_refused() -> None:
    with pytest.raises(BadPayload, match="too many entries"):
        _read({"alerts": [{"name": "x"}] * 10_001}, each="$.alerts[*]")


def test_a_mapping_in_a_team_s_own_folder_is_a_sender(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "riemann.yaml").write_text(MAPPINGS["riemann"])
    (folder / "broken.yaml").write_text("name: name")
    registry = Registry(tmp_path)
    source = registry.plugin(Room.SOURCES, "riemann")
    assert source.BODY == "Riemann's webhook stream."
    assert source.SEVERITIES == {"critical": "critical", "warning": "warning"}
    assert source.read({}, b'{"service": "a", "host": "b", "state": "critical"}').alerts[0].name == "a"
    with pytest.raises(PermanentError, match="one begins with"):
        registry.plugin(Room.SOURCES, "broken")
