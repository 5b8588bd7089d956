"""Whatever a request of the gateway's OpenAPI document holds, well formed or not: an answer that the document names, and soon."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
import schemathesis
from forms import Form, examples, form
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from serving import TOKEN, serving

from paramedic.kinds.registry import Registry, Room
from paramedic.store import Store
from paramedic.store.tables import messages

#: So long an answer may take, on a busy machine: what hangs never comes.
_SECONDS = 10

#: How much larger the process may be after all of it.
_GROWTH = 300 * 1024 * 1024

#: Requests of each operation.
_REQUESTS = 400 if form() is Form.LONG else examples(25)

_OTHERS = ("POST /heartbeats/{name}", "POST /deployments", "GET /healthz", "GET /readyz", "GET /metrics")

#: The document's operations, of which each is a test of its own: those of the gateway without a plug-in.
_OPERATIONS = [*(f"POST /alerts/{name}" for name in Registry().names(Room.SOURCES)), *_OTHERS]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Store]]:
    folder = tmp_path_factory.mktemp("any")
    process = psutil.Process()
    with serving(folder, body_timeout=timedelta(seconds=2), body_limit=200_000) as (port, store, _):
        before, threads = process.memory_info().rss, threading.active_count()
        yield port, store
        assert process.memory_info().rss - before < _GROWTH
        assert threading.active_count() - threads < 100
        with store.read() as tx:
            assert len(tx.conn.execute(messages.select()).all()) < 200, (
                "people are told in a bounded number of messages"
            )


@pytest.fixture(scope="module")
def api(served: tuple[int, Store]) -> dict[str, Any]:
    """The operations of the document that this gateway serves, by their labels."""
    found = schemathesis.openapi.from_url(f"http://127.0.0.1:{served[0]}/openapi.json").get_all_operations()
    return {operation.label: operation for operation in (each.ok() for each in found)}


def test_every_operation_of_the_document_is_asked(api: dict[str, Any]) -> None:
    assert sorted(api) == sorted(_OPERATIONS)


@pytest.mark.parametrize("label", _OPERATIONS)
@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_one_that_the_document_names(api: dict[str, Any], label: str, mode: GenerationMode) -> None:
    operation = api[label]
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # nothing of it can be wrong: every text is a name

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(max_examples=_REQUESTS, deadline=None, suppress_health_check=list(HealthCheck))
    def asked(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=_SECONDS)
        case.validate_response(answer, checks=[not_a_server_error, status_code_conformance, content_type_conformance])
        if answer.status_code >= 400:
            assert answer.json()["error"]["what"], "a refusal says what is wrong"

    asked()
