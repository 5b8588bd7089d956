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


@pytest.mark.parametrize("quote", ["", '"'], ids=["bare", "quoted"])
@pytest.mark.parametrize("braces", [True, False], ids=["braces", "no braces"])
@pytest.mark.parametrize("comma", ["", ","], ids=["", "trailing comma"])
@pytest.mark.parametrize(("op", "value", "hit", "miss"), [
    ("=", "bar", "bar", "baz"),
    ("!=", "bar", "baz", "bar"),
    ("=~", "[a-z]+", "bar", "7"),
    ("!~", "[a-z]+", "7", "bar"),
    ("=", "🙂bar", "🙂bar", "bar"),
])  # fmt: skip
def test_braces_quotes_and_a_trailing_comma_are_the_authors_choice(
    quote: str, braces: bool, comma: str, op: str, value: str, hit: str, miss: str
) -> None:
    inside = f"{quote}foo{quote}{op}{quote}{value}{quote}, dings=x{comma}"
    text = f"{{{inside}}}" if braces else inside
    assert _wants(text, foo=hit, dings="x")
    assert not _wants(text, foo=miss, dings="x")
    assert not _wants(text, foo=hit, dings="y")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (r"\xf0\x9f\x99\x82", "🙂"),
        (r"\U0001f642", "🙂"),
        (r"\u00e9", "é"),
        (r"\101", "A"),
        (r"bar\n", "bar\n"),
        (r"bar\t", "bar\t"),
        (r"\"bar\"", '"bar"'),
        (r"bar\\", "bar\\"),
    ],
)
def test_what_a_quoted_value_escapes(said: str, means: str) -> None:
    assert _wants(f'{{foo="{said}"}}', foo=means)
    assert not _wants(f'{{foo="{said}"}}', foo=said)


@pytest.mark.parametrize(
    "text",
    [
        "{}", "{,}", ",", "}", "foo=bar}", "{foo=bar", '{foo=:"bar"}', r'{foo="bar\w"}', r"{foo=bar\n}",
        r'{foo="\xf0\x9f"}', r'{foo="\U00110000"}', "{foo=~[}",
    ],
)  # fmt: skip
def test_what_alertmanager_refuses_is_refused_here(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "{", '{foo="bar"', "{foo}", '{foo=="bar"}', '{foo="bar" "x"}', "a b", '{foo="bar}']
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


def test_a_label_too_long_to_be_compared_matches_no_pattern() -> None:
    assert not _wants('{foo=~".*"}', foo="x" * 2000)
