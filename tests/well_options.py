"""What an author may write under the keys that shipped probes give their checks, each drawn together with what it means."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from paramedic.transports.http_question import Condition


class Said(NamedTuple):
    """A value as an author writes it, and what it means."""

    text: Any
    means: Any


def _condition(**words: str) -> Condition:
    return Condition(**{key: word if key == "matches" else (word,) for key, word in words.items()})


#: What an author may write under each key that a shipped probe gives its checks.
OPTIONS: Mapping[str, st.SearchStrategy[Any]] = {
    "from": st.just(Said(["local"], ("local",))),
    "path": st.sampled_from(["/", "/var", "/srv/a b"]),
    "status": st.sampled_from(
        [Said(200, ("200",)), Said([204, "3xx"], ("204", "3xx")), Said("2xx", ("2xx",))],
    ),
    "body": st.sampled_from(
        [
            Said("ok", _condition(contains="ok")),
            Said({"contains": "ok"}, _condition(contains="ok")),
            Said({"lacks": ["error"], "matches": "[0-9]+ m"}, _condition(lacks="error", matches="[0-9]+ m")),
        ]
    ),
    "headers": st.sampled_from(
        [
            Said({"X-Of": "api"}, {"X-Of": _condition(contains="api")}),
            Said({"X-Of": {"contains": "api", "lacks": "b"}}, {"X-Of": _condition(contains="api", lacks="b")}),
            Said({"X-Of": {"matches": "^a"}}, {"X-Of": _condition(matches="^a")}),
        ]
    ),
    "method": st.just("POST"),
    "query": st.sampled_from(['sum(rate(errors{of="a"}[5m]))', "SELECT 1"]),
    "record": st.just("A"),
    "resolver": st.sampled_from(["10.0.0.53", "[::1]:5353"]),
    "answers": st.sampled_from([Said("192.0.2.1", ("192.0.2.1",)), Said(["192.0.2.1"], ("192.0.2.1",))]),
    "queue": st.sampled_from(["orders", "größe of it"]),
    "vhost": st.just("/shop"),
    "consumer_group": st.just("workers"),
    "server": st.just("http://prometheus:9090"),
    "login": st.just("orders"),
    "aggregator": st.sampled_from(["max", "last"]),
    "send": st.just('{"of": [1]}'),
    "send_headers": st.just(Said({"Accept": "a/b"}, {"Accept": "a/b"})),
}
