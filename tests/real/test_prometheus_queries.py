"""Checks that ask a real Prometheus: of the story's service as it is scraped, of nothing, of NaN, of a query that is none."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from looked_at import look, made
from scripted_http import Asked, Said, Server, scripted
from waiting import until

from paramedic.checks.check import Sample
from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command

pytestmark = [pytest.mark.real]

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: tracking
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: gone
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
"""

METRICS = b"""
requests_seconds_bucket{path="/track",le="0.1"} 50
requests_seconds_bucket{path="/track",le="0.25"} 90
requests_seconds_bucket{path="/track",le="+Inf"} 100
orders_waiting{shop="one"} 3
orders_waiting{shop="two"} 12
orders_waiting{shop="three"} NaN
heap_bytes 1.5e9
never 0
"""


@pytest.fixture(scope="module")
def scraped() -> Iterator[Server]:
    def answer(_: Asked) -> Said:
        return Said(200, METRICS, {"Content-Type": "text/plain; version=0.0.4"})

    with scripted(answer) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(
    require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, scraped: Server
) -> Iterator[str]:
    program, folder, port = require("prometheus"), tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=scraped.url.rpartition(":")[2]))
    started = subprocess.Popen(
        command(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--query.max-samples=1000",
            ]
        ),
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for query in ("orders_waiting", 'up{job="gone"}'):
            until(f"Prometheus has {query}", lambda query=query: _has(url, query))
        yield url
    finally:
        started.kill()
        started.wait()


def _has(url: str, query: str) -> bool:
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json()["data"]["result"])


def ask(url: str, query: str, **words: Any) -> Sample:
    bounds: dict[str, Any] = {"value": {"critical": 5}} | words
    return look(made(check="prometheus", server=url, query=query, timeout="15s", **bounds))


@pytest.mark.parametrize(
    ("query", "bounds", "value"),
    [
        ('orders_waiting{shop="two"}', {"value": {"critical": 10}}, 12),
        ("sum(orders_waiting == orders_waiting)", {"value": {"critical": 10}}, 15),
        ("scalar(heap_bytes)", {"value": {"critical": "1GB"}}, 1.5e9),
        ('up{job="gone"}', {"value_below": {"critical": 0}}, 0),
        (
            'histogram_quantile(0.9, requests_seconds_bucket{path="/track"})',
            {"value": {"warning": "200ms", "critical": "300ms"}},
            0.25,
        ),
        ("vector(0.05)", {"value": {"critical": "3%"}}, 5),
        ("sum(rate(never[1m])) / sum(rate(never[1m])) > 0 or vector(0)", {"value": {"critical": "3%"}}, 0),
    ],
)  # fmt: skip
def test_a_query_gives_a_number_in_the_unit_of_its_bounds(
    prometheus: str, query: str, bounds: dict[str, Any], value: float
) -> None:
    check = made(check="prometheus", server=prometheus, query=query, timeout="15s", **bounds)
    sample = look(check)
    assert list(check.metrics([sample]).values()) == [pytest.approx(value)], sample.why


def test_of_several_the_worst_counts_and_is_named_and_what_is_no_number_counts_for_nothing(prometheus: str) -> None:
    sample = ask(prometheus, "orders_waiting", value_below={"critical": 1})
    assert sample.values is not None
    assert (sample.values["highest"], sample.values["lowest"]) == (12, 3)
    assert "shop=two" in sample.why
    assert sample.why.endswith("; 1 more that is no number")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("no_such_metric", "the answer has no data: it is empty"),
        ("never / never", "the answer has no data: nan"),
        ("vector(1) / 0", "the answer has no data: inf"),
        ("orders_waiting[1m]", "the query gives a range of values"),
        ('"text"', "the query gives a 'string', and no number"),
        ("sum(", "bad_data: "),
        ("up + on() orders_waiting", "execution: "),
    ],
)
def test_what_gives_no_number_is_unknown_and_never_well(prometheus: str, query: str, why: str) -> None:
    sample = ask(prometheus, query)
    assert sample.values is None
    assert why in sample.why


def test_the_host_of_the_target_stands_in_the_query_beside_the_braces_of_promql(prometheus: str) -> None:
    sample = ask(
        prometheus,
        'orders_waiting{shop="two"} * on() group_left(host) label_replace(vector(2), "host", "{host}", "", "")',
    )
    assert sample.values is not None, sample.why
    assert sample.values["highest"] == 24


def test_a_prometheus_that_is_gone_is_unknown(prometheus: str) -> None:
    sample = ask("http://127.0.0.1:1", "up")
    assert sample.values is None
    assert sample.why.startswith("127.0.0.1:1 does not answer")
