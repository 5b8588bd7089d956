"""Alertmanager's matcher syntax, by the cases of its documentation ("Matcher", "UTF-8 strict mode")."""

from datetime import UTC, datetime

import pytest

from paramedic.alert import Alert, Severity, Status
from paramedic.matcher import parse


def _wants(text: str, **labels: str) -> bool:
    name = labels.pop("alertname", "Slow")
    return parse(text).wants(Alert("a", name, Severity.WARNING, Status.FIRING, datetime.now(UTC), "f", labels))


@pytest.mark.parametrize(
    ("text", "labels", "wants"),
    [
        ("Slow", {}, True),
        ("Slow", {"alertname": "Slower"}, False),
        ('{foo="bar"}', {"foo": "bar"}, True),
        ('{foo="bar"}', {"foo": "barbar"}, False),
        ('{foo=bar,dings!="bums"}', {"foo": "bar", "dings": "x"}, True),
        ('{foo = "bar", dings != "bums", }', {"foo": "bar"}, True),
        ('{statuscode=~"5.."}', {"statuscode": "503"}, True),
        ('{statuscode=~"5.."}', {"statuscode": "1503"}, False),
        ('{statuscode!~"5.."}', {"statuscode": "404"}, True),
        ('{missing=""}', {}, True),
        ('{missing!="x"}', {}, True),
        ('{missing=~".+"}', {}, False),
        (r'{foo="say \"hi\", now"}', {"foo": 'say "hi", now'}, True),
        ('{"dots.in.names"="x"}', {"dots.in.names": "x"}, True),
        ('Slow{env=~"prod|canary"}', {"env": "canary"}, True),
        ('{foo="🙂"}', {"foo": "🙂"}, True),
    ],
)
def test_a_matcher_means_what_alertmanager_means(text: str, labels: dict[str, str], wants: bool) -> None:
    assert _wants(text, **labels) is wants


@pytest.mark.parametrize(
    "text", ["", "{", '{foo="bar"', "{foo}", '{foo=="bar"}', '{foo="bar" "x"}', "a b", '{foo="bar}']
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


def test_a_label_too_long_to_be_compared_matches_no_pattern() -> None:
    assert not _wants('{foo=~".*"}', foo="x" * 2000)
