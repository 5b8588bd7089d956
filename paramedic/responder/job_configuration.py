"""The configuration of one run, from its pool, its deployment and itself."""

from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field

_GRACE = Field(
    default=60.0,
    ge=0,
    title="Seconds after a cancel",
    description=(
        "How long a cancelled run may go on before its process is ended: "
        "a change that was already sent runs to its deadline and records its outcome."
    ),
)


class ParamedicJobConfiguration(BaseJobConfiguration):
    """The configuration of one run."""

    cancel_grace_seconds: float = _GRACE


class ParamedicVariables(BaseVariables):
    """The variables that a pool, a deployment or a run may set."""

    cancel_grace_seconds: float = _GRACE


async def configure(
    template: dict[str, Any], flow_run: FlowRun, deployment: DeploymentResponse, client: PrefectClient
) -> ParamedicJobConfiguration:
    """The pool's template with what deployment and run say of it: as Prefect's base does, with nothing to be asked."""
    variables = dict(deployment.job_variables or {})
    own = dict(flow_run.job_variables or {})
    env = {**variables.get("env", {}), **own.get("env", {})}
    variables |= own | ({"env": env} if env else {})
    made: ParamedicJobConfiguration = await ParamedicJobConfiguration.from_template_and_values(
        base_job_template=template, values=variables, client=client
    )
    return made
