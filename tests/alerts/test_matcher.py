"""Alertmanager's matcher syntax, by the cases of its documentation ("Matcher", "UTF-8 strict mode")."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from required import missing

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.matcher import parse


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
    ("written", "means"),
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
def test_what_a_quoted_value_escapes_where_only_the_utf8_parser_reads_the_name(written: str, means: str) -> None:
    assert _wants(f'{{"foo.x"="{written}"}}', **{"foo.x": means})
    assert not _wants(f'{{"foo.x"="{written}"}}', **{"foo.x": written})


@pytest.mark.parametrize(
    "text",
    [
        "{}", "{,}", ",", "}", '{foo=:"bar"}', "{foo=~[}", r'{"foo.x"="bar\w"}', r'{"foo.x"="\xf0\x9f"}',
        r'{"foo.x"="\U00110000"}', '{"foo.x"="bar"', '"foo.x"="bar"}', '{"foo.x"="bar",,}',
    ],
)  # fmt: skip
def test_what_alertmanager_refuses_is_refused_here(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "{", 'Slow{foo="bar"', "{foo}", '{foo=="bar"}', '{foo="bar" "x"}', "a b", '{foo="bar}', "Slow}"]
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


#: What authors write, with the values that it is tried on: Alertmanager itself says what is right.
_TABLE = [
    *(f'foo{op}"{value}"' for op in ("=", "!=", "=~", "!~") for value in ("bar", "", r"a\\b", r"a\"b", r"a\nb", r"a\tb")),
    *(
        f'foo=~"{pattern}"'
        for pattern in (
            "(a|a)+b", "((a)+)+b", "(a*)*b", "[[:digit:]]", "[[:alpha:]]+", r"\d+", r"\pL+", r"\p{Greek}", r"ba\z", r"bar\z",
            r"\Qa.b\E", "(?i)BAR", "(?i:b)ar", "bar|baz", "a)|(b", "a|b)|(?:c", "^bar$", "(?P<n>bar)", "a{2}", "a{1000}",
            "a{1001}", "[", "(", "*", "(?=a)", "(?<!a)b", r"\1", "a**", r"(a)\1", "(?>a)", "a++", r"\Z", r"\h", "[b-a]",
            "(?s).", ".", r"\w+", r"\bbar\b", "é|🙂", r"\x41", r"\x{1F642}", r"\101", "(?#c)a", "[[:word:]]", r"[\d]", "[^a]",
        )
    ),
    r"foo=~\d+", "foo=~[a-z]+", "foo=bar", "foo = bar", " foo=bar ", "{foo=bar}", "{foo=bar", "foo=bar}", "{foo=bar}}",
    "{foo=bar,}", "{,}", "foo=", "foo=,x=", "=bar", "foo==bar", "foo=:bar", r"foo=bar\w", r"foo=bar\n", r"foo=b\"",
    'foo="bar', 'foo=bar"', r'foo="bar\"', r'foo="bar\\"', 'foo="a,b"', "foo='bar'", "foo=`bar`", "foo=~~~", r"foo==\=\"",
    'foo="bar" "x"', "{{foo=bar", "{foo=}b", 'foo="bar",foo!="baz"', "foo=bar,missing=", 'missing!=""', 'missing=~".*"',
    "a b", "fo:o=bar", "_x=", r'foo="\"', 'foo="🙂"', "foo=🙂",
]  # fmt: skip
_VALUES = [
    "bar",
    "7",
    "aaaab",
    "",
    "ba",
    "a.b",
    "BAR",
    'b"',
    "a,b",
    "🙂",
    "α",
    "A",
    "\\t",
    "a\\b",
    'a"b',
    "a\tb",
    "a\nb",
]


@pytest.mark.real
def test_the_verdict_is_that_of_alertmanager_itself(tmp_path: Path) -> None:
    if shutil.which("amtool") is None:
        missing("amtool (Debian: prometheus-alertmanager) is not installed")
    taken = [text for text in _TABLE if _amtool(_config(tmp_path, [text]), "bar") is not None]
    config = _config(tmp_path, taken)
    theirs = {text: ["refused"] for text in _TABLE if text not in taken}
    theirs |= {text: [] for text in taken}
    for value in _VALUES:
        hit = _amtool(config, value) or set()
        for number, text in enumerate(taken):
            theirs[text].append("hit" if str(number) in hit else "miss")
    ours = {text: [_verdict(text, value) for value in (_VALUES if text in taken else _VALUES[:1])] for text in _TABLE}
    assert {text: (verdicts, ours[text]) for text, verdicts in theirs.items() if verdicts != ours[text]} == {}


def _config(folder: Path, matchers: list[str]) -> Path:
    """A routing tree in which the n-th matcher leads to the receiver `n`, and then goes on."""
    names = [str(number) for number in range(len(matchers))]
    routes = [
        {"receiver": name, "matchers": [text], "continue": True} for name, text in zip(names, matchers, strict=True)
    ]
    config = folder / "alertmanager.yml"
    receivers = [{"name": name} for name in ["nobody", *names]]
    tree = {"receivers": receivers, "route": {"receiver": "nobody", "routes": routes}}
    config.write_text(json.dumps(tree, ensure_ascii=False))  # JSON is YAML
    return config


def _amtool(config: Path, value: str) -> set[str] | None:
    """The receivers that an alert with this label goes to; None where the configuration is refused."""
    label = 'foo="' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={config}", label],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return set(done.stdout.strip().split(",")) if done.returncode == 0 else None


def _verdict(text: str, value: str) -> str:
    try:
        return "hit" if _wants(text, foo=value) else "miss"
    except ValueError:
        return "refused"


@pytest.mark.parametrize(
    "pattern", ["(a|a)+b", "((a)+)+b", "(a*)*b", "(a|aa)+b", "(.*a){20}b", "([a-z]+)*b", "(a?){50}b"]
)
@pytest.mark.parametrize("op", ["=~", "!~"])
def test_no_label_keeps_a_matcher_busy(pattern: str, op: str) -> None:
    matcher = parse(f'{{foo{op}"{pattern}"}}')
    alert = Alert("a", "Slow", Severity.WARNING, Status.FIRING, datetime.now(UTC), "f", {"foo": "a" * 16_384})
    began = time.thread_time()
    assert matcher.wants(alert) is (op == "!~")
    assert time.thread_time() - began < 0.5


def test_a_long_label_is_compared_to_its_end() -> None:
    assert _wants('{foo=~"x*y"}', foo="x" * 16_000 + "y")
    assert not _wants('{foo!~"x*y"}', foo="x" * 16_000 + "y")


def test_a_label_that_is_no_utf8_is_compared_as_alertmanager_reads_it() -> None:
    assert _wants('{foo=~"a.b"}', foo="a\ud800b")


def test_a_pattern_that_would_take_long_is_refused_and_so_is_one_that_re2_has_no_room_for() -> None:
    with pytest.raises(ValueError, match="at most 4096 characters"):
        parse('{foo=~"' + "a" * 5000 + '"}')
    with pytest.raises(ValueError, match="RE2"):
        parse('{foo=~"((a{100}){100}){100}"}')
