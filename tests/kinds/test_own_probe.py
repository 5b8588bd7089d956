"""A probe in a team's own folder is linted, sampled, alerted and charted like a shipped one; nothing else knows its name."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import target
from jsonschema import Draft202012Validator
from plugins_page import EXAMPLES

from paramedic import cli
from paramedic.alerts.alert import Severity, Status
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.runbook_file import parse, schema
from paramedic.checks.chart import Chart
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds import plugin_folder, registry
from paramedic.kinds.registry import Registry, Room
from paramedic.machine.clock import utc_now
from paramedic.sampling import one_sample
from paramedic.store import Store, checks, inbox
from paramedic.text.quantity import Unit
from paramedic.text.yaml_document import BadDocument

#: The whole example of the page.
PIGEON = EXAMPLES[Room.PROBES]

RUNBOOK = """\
---
runbook: pigeon-lost
service: tracking-api
when:
  - check: pigeon://{book}
    name: post
playbook: restart-service
with:
  target: {{supervisord: tracking-api, host: "{{instance}}"}}
  verify: {{check: away_for, stable: 1m, within: 5m}}
---
**Meaning.** It is lost.
**Impact.** No letters.
## Diagnosis
c
## Mitigation
d
"""

SERVICES = """\
services:
  tracking-api:
    targets: [{host: web-1, supervisord: {program: tracking-api, address: "unix:///s"}}]
"""

PEOPLE = """\
people: {ada: {name: Ada, email: ada@example.org}}
rotation: {zone: UTC, starts: "2026-01-05 09:00", every: 1 week, people: [ada]}
policies: {default: {rungs: [{tell: oncall}], repeat: 30m}}
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    (folder / "probes").mkdir(parents=True, mode=0o755)
    (folder / "probes" / "pigeon.py").write_text(PIGEON)
    plugin_folder.use(folder)
    yield folder
    plugin_folder.use(None)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "web-1.book"
    file.touch()
    return file


@pytest.fixture
def runbook(plugins: Path, book: Path) -> Runbook:
    return parse(RUNBOOK.format(book=book.with_name("{host}.book")), "r.md")


def returned(book: Path, ago: timedelta) -> None:
    os.utime(book, (0, (utc_now() - ago).timestamp()))


def sample(runbook: Runbook) -> Sample:
    return one_sample.sample(runbook.checks[0], target(), now=utc_now, last_heard=lambda _: None)


def lint(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["runbook", "lint", "--folder", str(folder), "--data", str(folder)])
    out, err = capsys.readouterr()
    return int(str(ended.value.code or 0)), out + err


@pytest.fixture
def books(tmp_path: Path, book: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "books"
    folder.mkdir()
    for name, text in {
        "services.yaml": SERVICES,
        "oncall.yaml": PEOPLE,
        "pigeon-lost.md": RUNBOOK.format(book=book),
    }.items():
        (folder / name).write_text(text)
    monkeypatch.setenv("PARAMEDIC_PLUGINS", str(plugins))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_check_of_it_has_the_bounds_that_it_ships(runbook: Runbook) -> None:
    [check] = runbook.checks
    assert (check.kind, check.name) == ("pigeon", "post")
    assert check.thresholds == (Threshold("away_for", Unit.SECONDS, 3600, 10800, timedelta(0), 0.1),)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "    away_four: {critical: 2h}\n",
            "when.0.away_four: no such key, or one that is not enforced; did you mean away_for?",
        ),
        ("    away_for: {critical: 31d}\n", "'31d' is too much; allowed: at most 30d"),
        ("    cpu: {critical: 90%}\n", "`cpu` is not measured there; allowed: away_for"),
        ("    path: /var\n", "`path` belongs to `check: host`, for its disk"),
    ],
)
def test_its_bounds_are_checked_as_others_are(plugins: Path, words: str, says: str) -> None:
    with pytest.raises(BadDocument, match=re.escape(says)):
        parse(RUNBOOK.format(book="/book").replace("    name: post\n", f"    name: post\n{words}"), "r.md")


def test_its_own_question_about_the_address_is_asked(plugins: Path) -> None:
    with pytest.raises(BadDocument, match="write pigeon:///PATH of the coop's book"):
        parse(RUNBOOK.format(book="coop"), "r.md")


def test_the_schema_of_runbooks_has_its_metric(plugins: Path) -> None:
    when: dict[str, Any] = {"check": "pigeon:///book", "away_for": {"critical": "2h"}}
    front = {
        "runbook": "r",
        "service": "s",
        "when": [when],
        "playbook": "restart-service",
        "with": {
            "target": {"supervisord": "p", "host": "h"},
            "verify": {"check": "away_for", "stable": "1m", "within": "5m"},
        },
    }
    assert Draft202012Validator(schema()).is_valid(front)
    plugin_folder.use(None)
    assert not Draft202012Validator(schema()).is_valid(front)


def test_lint_takes_it(books: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(books, capsys) == (0, "1 runbooks, 1 targets: nothing wrong\n")


def test_what_it_sees_breaches_its_bound_raises_its_alert_and_is_charted(
    runbook: Runbook, book: Path, timed: Store
) -> None:
    placed = CheckAtTarget(runbook.name, runbook.checks[0], target())
    begun = utc_now() - timedelta(days=3650)
    for ago in (timedelta(minutes=5), timedelta(hours=4)):
        returned(book, ago)
        seen = sample(runbook)
        assert seen.why == f"read from {book}"
        with timed.record() as tx:
            checks.record(tx, placed, seen, blind=False, mass_limit=99)
    with timed.read() as tx:
        state = checks.state(tx, placed, "away_for")
        [receipt] = inbox.waiting(tx)
        points = checks.points(tx, placed, "away_for", since=begun)
    assert state is not None
    assert state.standing.level is Level.CRITICAL
    alert = receipt.alert
    assert (alert.name, alert.severity, alert.status) == ("pigeon-lost away_for", Severity.CRITICAL, Status.FIRING)
    assert (alert.labels["metric"], alert.labels["check"], alert.value) == ("away_for", "post", "4h")
    assert alert.annotations["measured"] == str(book)
    text = Chart("away_for of web-1/tracking-api", runbook.checks[0].thresholds[0], points).text()
    assert "lowest 5m, highest 4h, last 4h" in text


def test_what_it_cannot_see_is_unknown(runbook: Runbook, book: Path) -> None:
    book.unlink()
    assert sample(runbook).values is None
    assert "cannot be read: No such file or directory" in sample(runbook).why


@pytest.mark.parametrize("values", ["{'away_for': float('nan')}", "{'away_for': 'long'}", "{'away_for': None}", "None"])
def test_a_value_that_is_no_number_is_a_fault_of_the_check_and_of_no_target(
    plugins: Path, book: Path, values: str
) -> None:
    (plugins / "probes" / "pigeon.py").write_text(f"{PIGEON}\n\ndef look(question):\n    return {values}, ''\n")
    seen = sample(parse(RUNBOOK.format(book=book), "r.md"))
    assert seen.values is None
    assert seen.why.startswith("the check itself failed: ")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("def look", "def looks", "it has no function or class 'look'"),
        ("def subject", "def subjects", "it has no function or class 'subject'"),
        ('CHECK = ("pigeon:///PATH",)', 'CHECK = "pigeon:///PATH"', "it has no tuple of texts 'CHECK'"),
        ("METRICS = (", "METRICS = [", "SyntaxError"),
        ("METRICS", "METRIX", "it has no tuple of Metric 'METRICS'"),
        ('"away_for", (', '"every", (', "a metric cannot be called 'every': it is a key of a check"),
        ('"away_for", (', '"Away For", (', "a metric cannot be called 'Away For'"),
        ('critical="3h"', 'critical="3%"', "'3%': write a duration"),
        (
            "held_for=timedelta(0)",
            "percentile=95",
            "the metric away_for is of a window: its raw value has another name",
        ),
        ("(Unit.SECONDS,)", "()", "the metric away_for has no unit"),
    ],
)
def test_a_broken_one_is_named_by_lint_and_stops_no_other(
    books: Path, plugins: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, why: str
) -> None:
    assert before in PIGEON
    file = plugins / "probes" / "pigeon.py"
    file.write_text(PIGEON.replace(before, after))
    plugin_folder.use(None)
    code, out = lint(books, capsys)
    assert code == 1
    assert "pigeon-lost.md:5:5: when.0.check: 'pigeon://" in out
    assert f"the plug-in pigeon of probes ({file}) cannot be used: " in out
    assert why in out
    assert "http" in Registry(plugins).usable(Room.PROBES)


def test_a_shipped_probe_s_word_is_not_taken_over(plugins: Path) -> None:
    file = plugins / "probes" / "a_pigeon.py"
    file.write_text(PIGEON.replace("pigeon:///PATH", "http://COOP"))
    text = RUNBOOK.format(book="x").replace("pigeon://", "http://").replace("check: away_for", "check: error_rate")
    assert parse(text, "r.md").checks[0].kind == "http"
    [fault] = registry.current().broken()
    assert str(fault) == (
        f"the plug-in a_pigeon of probes ({file}) cannot be used: `check: http://` belongs to http (shipped)"
    )


OPTION = "from paramedic.kinds.probing import Option\nOPTIONS = (Option({}, {}, 'for its coop'),)\n"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (PIGEON, "`check: pigeon://` belongs to pigeon ({pigeon})"),
        (PIGEON.replace("pigeon:///PATH", "host"), "`check: host` belongs to host (shipped)"),
        (
            PIGEON.replace("pigeon:///PATH", "crow").replace('Metric("away_for"', 'Metric("path"'),
            "the key path of checks, an option like ^/ there and a metric here, belongs to host (shipped)",
        ),
        (
            PIGEON.replace("pigeon:///PATH", "crow") + OPTION.format("'cpu'", "'.'"),
            "the key cpu of checks, a metric there and an option like . here, belongs to host (shipped)",
        ),
        (
            PIGEON.replace("pigeon:///PATH", "crow") + OPTION.format("'path'", "'.'"),
            "the key path of checks, an option like ^/ there and an option like . here, belongs to host (shipped)",
        ),
    ],
)
def test_the_second_of_two_that_offer_the_same_is_named_with_the_first_which_stays(
    books: Path, plugins: Path, capsys: pytest.CaptureFixture[str], second: str, why: str
) -> None:
    file = plugins / "probes" / "z_other.py"
    file.write_text(second)
    plugin_folder.use(None)
    code, out = lint(books, capsys)
    words = why.format(pigeon=plugins / "probes" / "pigeon.py")
    assert (code, out) == (1, f"{file}:1:1: the plug-in z_other of probes cannot be used; {words}\n")
    assert registry.current().plugin(Room.PROBES, "pigeon").CHECK == ("pigeon:///PATH",)
    assert "z_other" not in registry.current().usable(Room.PROBES)


def test_two_that_share_a_metric_or_an_option_that_is_the_same_in_both_have_room(plugins: Path) -> None:
    crow = PIGEON.replace("pigeon:///PATH", "crow") + OPTION.format("'path'", "'^/'")
    (plugins / "probes" / "crow.py").write_text(crow)
    assert Registry(plugins).broken() == ()


@pytest.mark.parametrize("name", ["every", "copy", "Coop"])
def test_an_option_that_would_be_another_key_of_checks_is_refused(plugins: Path, name: str) -> None:
    (plugins / "probes" / "pigeon.py").write_text(PIGEON + OPTION.format(repr(name), "'.'"))
    [fault] = Registry(plugins).broken()
    assert f"an option cannot be called {name!r}: it is a key of a check" in fault.why


def test_one_that_calls_a_metric_and_an_option_alike_is_refused(plugins: Path) -> None:
    (plugins / "probes" / "pigeon.py").write_text(PIGEON + OPTION.format("'away_for'", "'.'"))
    [fault] = Registry(plugins).broken()
    assert fault.why == "two of its metrics and options are called away_for"


# --- plain counts -----------------------------------------------------------------------------------------------------

#: The same probe, counting: how many letters lie in the book.
COUNTING = PIGEON.replace(
    'Metric("away_for", (Unit.SECONDS,), warning="1h", critical="3h", at_most="30d"',
    'Metric("letters", (Unit.COUNT,), warning="3", critical="10", at_most="1000"',
).replace(
    '{"away_for": question.now.timestamp() - written_at}', '{"letters": len(Path(question.where).read_text().split())}'
)


def counting(plugins: Path, book: Path, bounds: str = "") -> Runbook:
    (plugins / "probes" / "pigeon.py").write_text(COUNTING)
    text = RUNBOOK.format(book=book).replace("check: away_for", "check: letters")
    return parse(text.replace("    name: post\n", f"    name: post\n{bounds}"), "r.md")


@pytest.mark.parametrize(
    ("bounds", "warning", "critical"),
    [
        ("", 3, 10),
        ("    letters: {warning: 2, critical: 20, for: 0s}\n", 2, 20),
        ("    letters: {warning: '2', critical: 2.5}\n", 2, 2.5),
    ],
)
def test_a_plain_count_has_bounds_that_are_numbers(
    plugins: Path, book: Path, bounds: str, warning: float, critical: float
) -> None:
    [threshold] = counting(plugins, book, bounds).checks[0].thresholds
    assert (threshold.unit, threshold.warning, threshold.critical) == (Unit.COUNT, warning, critical)


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ("{warning: 3ms}", "letters.warning: '3ms': write a number: 3, 0.5, 1200"),
        ("{warning: 5%}", "letters.warning: '5%': write a number"),
        ("{critical: 1001}", "letters.critical: '1001' is too much; allowed: at most 1000"),
        ("{warning: 0}", "letters.warning: a bound of nothing is always passed"),
        ("{warning: -1}", "letters.warning: '-1': write a number"),
        ("{warning: .nan}", "letters.warning: 'nan': write a number"),
        ("{warning: true}", "letters.warning: Input should be a valid string"),
        ("{warning: 20, critical: 10}", "`critical` lies over `warning`"),
    ],
)
def test_a_bound_of_a_count_that_is_none_is_refused(plugins: Path, book: Path, bounds: str, says: str) -> None:
    with pytest.raises(BadDocument, match=re.escape(says)):
        counting(plugins, book, f"    letters: {bounds}\n")


def test_a_number_is_no_bound_of_what_has_a_unit(plugins: Path) -> None:
    text = RUNBOOK.format(book="/book").replace("    name: post\n", "    name: post\n    away_for: {critical: 200}\n")
    with pytest.raises(BadDocument, match=r"away_for.critical: '200': write a duration: 200ms, 5s"):
        parse(text, "r.md")


def test_a_count_is_sampled_raises_its_alert_and_is_charted(plugins: Path, book: Path, timed: Store) -> None:
    runbook = counting(plugins, book, "    letters: {warning: 3, critical: 10, for: 0s}\n")
    placed = CheckAtTarget(runbook.name, runbook.checks[0], target())
    for letters in (2, 12):
        book.write_text("letter " * letters)
        seen = sample(runbook)
        with timed.record() as tx:
            checks.record(tx, placed, seen, blind=False, mass_limit=99)
    with timed.read() as tx:
        [receipt] = inbox.waiting(tx)
        points = checks.points(tx, placed, "letters", since=utc_now() - timedelta(days=3650))
    assert (receipt.alert.severity, receipt.alert.value) == (Severity.CRITICAL, "12")
    assert receipt.alert.annotations["summary"] == ("letters of web-1/tracking-api is 12 (warning 3, critical 10)")
    chart = Chart("letters", runbook.checks[0].thresholds[0], points)
    assert "lowest 2, highest 12, last 12" in chart.text()
    assert ">10</text>" in chart.svg()


def test_the_schema_takes_a_number_as_a_bound(plugins: Path) -> None:
    (plugins / "probes" / "pigeon.py").write_text(COUNTING)
    bounds = schema()["$defs"]["Bounds"]["properties"]["critical"]["anyOf"]
    assert {bound["type"] for bound in bounds} == {"string", "integer", "number", "null"}
