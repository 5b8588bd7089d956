"""A probe in one file that looks by a transport and tells several subjects apart: within its time, with a state of each."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import target

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.kinds import plugin_folder
from paramedic.sampling import one_sample

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

LIST = """
import time
from datetime import timedelta
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, SeenEach
from paramedic.text.quantity import Unit

CHECK = ("visitors",)
ABOUT = "who is on a list, and how often"
METRICS = (
    Metric("visits", (Unit.COUNT,), critical="3", held_for=timedelta(0), by="visitor"),
    Metric("in_all", (Unit.COUNT,), critical="100", held_for=timedelta(0)),
)
OPTIONS = (Option("list", "^/", "for its list"), Option("of_whom", ".", "for who counts", as_it_is=True))
BY_TRANSPORT = True
WINDOW = timedelta(minutes=10)


def subject(written):
    return written.options["list"]


def look(question):
    names = question.transport().read(question.where).decode().split()
    if "hang" in names:
        time.sleep(1.5)
    each = {name: {"visits": names.count(name)} for name in set(names)}
    words = f"{question.options.get('of_whom')} since {question.begins_at():%H:%M}"
    return SeenEach({"in_all": len(names)}, words, each)
"""


@pytest.fixture(autouse=True)
def _plugins(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "probes").mkdir(mode=0o755)
    (tmp_path / "probes" / "visitors.py").write_text(LIST)
    plugin_folder.use(tmp_path)
    yield
    plugin_folder.use(None)


@pytest.fixture
def visitors(tmp_path: Path) -> Path:
    return tmp_path / "visitors"


def made(visitors: Path, **words: Any) -> Check:
    return check_spec(CheckSpec)(check="visitors", list=str(visitors), **words).build()


def sample(check: Check, ended_at: datetime | None = None) -> Sample:
    return one_sample.sample(check, target(), now=lambda: NOW, last_heard=lambda _: None, last_ended=lambda _: ended_at)


def test_it_looks_by_the_transport_and_the_worst_subject_is_the_value(visitors: Path) -> None:
    visitors.write_text("ann bob ann ann")
    seen = sample(made(visitors))
    assert seen.values == {"in_all": 4, "visits": 3}
    assert seen.each == {"ann": {"visits": 3}, "bob": {"visits": 1}}
    assert seen.of({"bob"}).values == {"in_all": 4, "visits": 1}
    assert seen.of({"nobody"}).values == {"in_all": 4, "visits": 0}


def test_nobody_is_none_and_not_nothing_seen(visitors: Path) -> None:
    visitors.write_text("")
    assert sample(made(visitors)).values == {"in_all": 0, "visits": 0}


def test_what_is_not_there_is_not_seen(visitors: Path) -> None:
    assert sample(made(visitors)) == Sample(NOW, None, f"there is no {visitors} just now")


def test_a_look_that_hangs_is_given_up_at_the_time_of_the_check(visitors: Path) -> None:
    visitors.write_text("hang")
    began = time.monotonic()
    assert sample(made(visitors, timeout="200ms")).why == "no answer within 200ms"
    assert time.monotonic() - began < 1.2


def test_the_braces_of_an_expression_are_its_own_and_its_keys_reach_it(visitors: Path) -> None:
    visitors.write_text("")
    assert sample(made(visitors, of_whom="[a-z]{3}")).why == "[a-z]{3} since 09:20"


def test_the_window_is_the_probes_own_unless_written_and_begins_anew_where_an_incident_ended(visitors: Path) -> None:
    visitors.write_text("")
    assert made(visitors).window == timedelta(minutes=10)
    assert made(visitors, window="1h", every="250ms", timeout="200ms").window == timedelta(hours=1)
    assert sample(made(visitors), NOW - timedelta(minutes=3)).why.endswith("since 09:27")
    assert sample(made(visitors), NOW - timedelta(minutes=30)).why.endswith("since 09:20")


def test_a_label_that_means_something_else_in_every_alert_is_refused(tmp_path: Path, visitors: Path) -> None:
    plugin_folder.use(None)
    other = tmp_path / "other"
    (other / "probes").mkdir(parents=True, mode=0o755)
    (other / "probes" / "visitors.py").write_text(LIST.replace('by="visitor"', 'by="instance"'))
    plugin_folder.use(other)
    with pytest.raises(ValueError, match="another meaning in every alert|nothing to check"):
        made(visitors)
