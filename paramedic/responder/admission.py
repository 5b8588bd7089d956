"""Admission of runs: only what dispatch registers, a shipped flow or one of the team's own folder, unchanged.

Anyone who may use the Prefect API could otherwise run any code as Paramedic's user: a deployment's pull steps, its storage
and its entrypoint, and a job variable such as LD_PRELOAD, are code.
"""

from collections.abc import Collection, Mapping
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse

from paramedic.errors import Refused

#: What a deployment or a run may choose of how it is run.
VARIABLES = frozenset({"cancel_grace_seconds", "env"})

#: The environment that it may choose: none of these loads code, names a file, or leads a call elsewhere.
ENVIRONMENT = frozenset({"PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_LOG_PRINTS", "TZ"})


def admit(deployment: DeploymentResponse, own: Mapping[str, Any], *, entrypoints: Collection[str]) -> None:
    """Raises Refused, in words, unless the deployment is one that dispatch registers; `own` are the run's job variables."""
    if deployment.pull_steps:
        raise Refused(f"the deployment {deployment.name!r} has pull steps", by_hand=_BY_HAND)
    if deployment.path or deployment.storage_document_id or deployment.infrastructure_document_id:
        raise Refused(f"the deployment {deployment.name!r} has a path or a storage of its own", by_hand=_BY_HAND)
    if deployment.entrypoint not in entrypoints:
        raise Refused(
            f"the entrypoint {deployment.entrypoint!r} of the deployment {deployment.name!r} is none of ours",
            by_hand=_BY_HAND,
        )
    for variables in (deployment.job_variables or {}, own):
        strange = sorted(variables.keys() - VARIABLES)
        if strange:
            raise Refused(f"the job variables {', '.join(strange)} are not allowed", by_hand=_BY_HAND)
        environment = variables.get("env") or {}
        if not isinstance(environment, Mapping):
            raise Refused("the job variable env is not a table of names and values", by_hand=_BY_HAND)
        admit_environment(environment)


def admit_environment(environment: Mapping[str, Any], *, command: str | None = None) -> None:
    """Raises Refused for a variable that is not in ENVIRONMENT, or a command: the pool's own template may say one, too."""
    strange = sorted(set(environment) - ENVIRONMENT)
    if strange:
        raise Refused(
            f"the environment {', '.join(map(str, strange))} is not allowed, only {', '.join(sorted(ENVIRONMENT))}",
            by_hand=_BY_HAND,
        )
    if command:
        raise Refused("a command of its own is not allowed", by_hand=_BY_HAND)


_BY_HAND = "look who may use the Prefect API; dispatch registers its deployments again within a minute"
