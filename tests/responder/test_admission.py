"""A pool of ours runs what dispatch registers and nothing else, whoever has made the deployment or the run."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from pool import Pool
from prefect.client.schemas.responses import DeploymentResponse

from paramedic.catalog.deployments import entrypoints
from paramedic.errors import Refused
from paramedic.responder import admission

OURS = "flows.restart_service.restart_service"


def deployment(**fields: Any) -> DeploymentResponse:
    return DeploymentResponse(
        name="restart-service", flow_id=uuid.uuid4(), **{"entrypoint": OURS, "pull_steps": []} | fields
    )


def admit(own: Any = None, **fields: Any) -> None:
    admission.admit(deployment(**fields), own or {}, entrypoints=entrypoints(None))


def test_what_dispatch_registers_is_run() -> None:
    for entrypoint in entrypoints(None):
        admit(entrypoint=entrypoint)
    admit(pull_steps=None)
    admit(
        job_variables={"cancel_grace_seconds": 5, "env": {"TZ": "UTC"}}, own={"env": {"PREFECT_LOGGING_LEVEL": "DEBUG"}}
    )


def test_a_playbook_of_the_teams_own_folder_is_run_by_the_name_of_its_file_alone(tmp_path: Path) -> None:
    (tmp_path / "our_restart.py").write_text("")
    assert entrypoints(tmp_path) - entrypoints(None) == {"flows.our_restart.our_restart"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}]}, "has pull steps"),
        ({"pull_steps": [{}]}, "has pull steps"),
        ({"path": "/tmp/evil"}, "a path or a storage"),
        ({"storage_document_id": uuid.uuid4()}, "a path or a storage"),
        ({"infrastructure_document_id": uuid.uuid4()}, "a path or a storage"),
        ({"entrypoint": None}, "is none of ours"),
        ({"entrypoint": ""}, "is none of ours"),
        ({"entrypoint": "/tmp/evil.py:flow"}, "is none of ours"),
        ({"entrypoint": "os.system"}, "is none of ours"),
        ({"entrypoint": "flows.restart_service.another"}, "is none of ours"),
        ({"entrypoint": f"{OURS}:x"}, "is none of ours"),
        ({"entrypoint": "flows/restart_service.py:restart_service"}, "is none of ours"),
        ({"job_variables": {"command": "id"}}, "the job variables command are not allowed"),
        ({"job_variables": {"working_dir": "/tmp"}}, "working_dir"),
        ({"job_variables": {"env": "LD_PRELOAD=/tmp/x"}}, "not a table of names"),
        *[
            ({"job_variables": {"env": {name: "x"}}}, f"the environment {name} is not allowed")
            for name in (
                "LD_PRELOAD",
                "LD_AUDIT",
                "PYTHONPATH",
                "PYTHONSTARTUP",
                "PATH",
                "HTTP_PROXY",
                "SSL_CERT_FILE",
                "PREFECT_API_URL",
                "PREFECT__FLOW_ENTRYPOINT",
                "PREFECT_LOGGING_SETTINGS_PATH",
                "PARAMEDIC_STORE_URL",
                "ld_preload",
                "TZ ",
            )
        ],
    ],
)
def test_what_is_code_or_leads_to_code_is_refused_in_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        admit(**fields)
    own = fields.get("job_variables")
    if own is not None:
        with pytest.raises(Refused, match=words):
            admit(own=own)


def test_the_pools_own_template_chooses_no_more_than_a_run() -> None:
    admission.admit_environment({"TZ": "UTC"}, command=None)
    for environment, command in (({"LD_PRELOAD": "/tmp/x"}, None), ({}, "sh -c id")):
        with pytest.raises(Refused, match="not allowed"):
            admission.admit_environment(environment, command=command)


@pytest.mark.real
def test_no_code_of_a_strangers_deployment_runs_and_ours_go_on(pool: Pool, tmp_path: Path) -> None:
    """As somebody would make it who may use the Prefect API: the API takes all of it."""
    mark = tmp_path / "owned"
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    flow = pool.prefect.ask("POST", "/flows/", json={"name": "evil"})["id"]
    script = {"prefect.deployments.steps.run_shell_script": {"script": f"touch {mark}"}}
    strangers = {
        "pull-steps": {"entrypoint": "flows.mark.mark", "pull_steps": [script]},
        "file": {"entrypoint": f"{tmp_path}/evil.py:flow", "path": str(tmp_path)},
        "module": {"entrypoint": "webbrowser.open"},
        "environment": {"entrypoint": "flows.mark.mark", "job_variables": {"env": {"PYTHONPATH": str(tmp_path)}}},
    }
    runs = []
    for name, fields in strangers.items():
        body = {"name": name, "flow_id": flow, "work_pool_name": pool.name, "enforce_parameter_schema": False} | fields
        pool.deployments[name] = pool.prefect.ask("POST", "/deployments/", json=body)["id"]
        runs += [pool.create(name, file=str(mark)), pool.create(name, notified=True, file=str(mark))]
    path = f"/deployments/{pool.deployments['mark']}/create_flow_run"
    own = {"env": {"PREFECT__FLOW_ENTRYPOINT": f"{tmp_path}/evil.py:flow"}}
    body = {"parameters": {"file": str(mark)}, "job_variables": own, "state": {"type": "SCHEDULED"}}
    runs.append(str(pool.prefect.ask("POST", path, json=body)["id"]))
    for run in runs:
        ended = pool.ends(run, 120)
        assert ended["state_type"] == "CRASHED", ended["state"]
        assert "not run: " in ended["state"]["message"]
        assert "docs/security.md" in ended["state"]["message"]
    assert not mark.exists()
    assert pool.ends(pool.create("mark", notified=True, file=str(tmp_path / "here")))["state_type"] == "COMPLETED"
