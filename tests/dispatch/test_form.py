"""What an operator reads at a deployment in the Prefect UI, as its API hands it to the form."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect_server import Prefect

from paramedic.dispatch.registration import register
from paramedic.settings import ROOT

pytestmark = [pytest.mark.real]


@pytest.fixture(scope="module")
def deployed(prefect: Prefect) -> Prefect:
    with temporary_settings({PREFECT_API_URL: prefect.api, PREFECT_HOME: prefect.home / "client"}):
        register(ROOT, "paramedic", "paramedic", groups=[], every=timedelta(minutes=1))
    return prefect


def _deployment(prefect: Prefect, name: str) -> dict[str, Any]:
    deployment: dict[str, Any] = prefect.ask("GET", f"/deployments/name/{name}/{name}")
    return deployment


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("restart-service", "Bring the target back with one restart, or hand it to whoever is on call."),
        (
            "restore-service",
            "Climb the runbook's ladder of remedies until one is verified to have helped, or hand over.",
        ),
    ],
)
def test_a_deployment_says_what_it_does_and_what_the_buttons_do(deployed: Prefect, name: str, does: str) -> None:
    deployment = _deployment(deployed, name)
    assert deployment["description"].startswith(does)
    for button in ("**Cancel**", "**Retry**", "**Quick run**", "**0 on the tag `changes`**"):
        assert button in deployment["description"]
    assert deployment["tags"] == ["paramedic", "playbook"]


def test_every_field_of_the_form_is_described_and_a_misspelt_one_is_refused(deployed: Prefect) -> None:
    deployment = _deployment(deployed, "restart-service")
    schema = deployment["parameter_openapi_schema"]
    assert list(schema["properties"]) == schema["required"] == ["run"]
    form = schema["definitions"]["Run"]
    assert "does nothing, and says why" in form["description"]
    assert list(form["properties"]) == form["required"] == ["incident", "attempt"]
    assert "UUID/INC-42" in form["properties"]["incident"]["description"]
    assert "from 1" in form["properties"]["attempt"]["description"]
    run = {"incident": "0f3f1c52-9a3e-4f43-8f0c-0d9f6f6f4b11/INC-1", "attempt": 1}
    for wrong in (run | {"incidnet": "x"}, run | {"incident": "42"}, run | {"attempt": 0}, {"attempt": 1}):
        assert _asked(deployed, deployment["id"], wrong) == 409, wrong
    assert _asked(deployed, deployment["id"], run) == 201


def _asked(prefect: Prefect, deployment: str, run: dict[str, Any]) -> int:
    return httpx.post(
        f"{prefect.api}/deployments/{deployment}/create_flow_run",
        json={"parameters": {"run": run}},
        timeout=30,
        trust_env=False,
    ).status_code


def test_the_ui_asks_the_server_that_its_page_came_from(prefect: Prefect) -> None:
    settings = httpx.get(f"{prefect.api.removesuffix('/api')}/ui-settings", timeout=30, trust_env=False).json()
    assert settings["api_url"] == "/api"
