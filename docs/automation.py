r"""An automation of yours: when Paramedic gives an incident to a person, Prefect runs a deployment of yours.

    PREFECT_API_URL=http://127.0.0.1:4200/api PREFECT_API_AUTH_STRING="$(cat DATA/prefect-login)" \
        python docs/automation.py YOUR-FLOW/YOUR-DEPLOYMENT

The flow takes the parameters `incident` and `reason`; the reason is for people to read, and nothing to run or to fetch.
"""

import sys
from datetime import timedelta
from typing import Any

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import EventTrigger, Posture


def of_the_event(template: str) -> dict[str, Any]:
    """A parameter that is read from the event when the automation runs."""
    return {"__prefect_kind": "jinja", "template": template}


def main(deployment: str) -> None:
    """Create the automation, and say which."""
    with get_client(sync_client=True) as client:
        runs = client.read_deployment_by_name(deployment)
    automation = Automation(
        name=f"An incident was given to a person: {deployment}",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={"paramedic.incident.handed_over", "paramedic.incident.refused"},
            match={"prefect.resource.id": "paramedic.incident.*"},  # and "paramedic.severity": "critical", if you like
            for_each={"prefect.resource.id"},
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=runs.id,
                parameters={
                    "incident": of_the_event("{{ event.payload.incident }}"),
                    "reason": of_the_event("{{ event.payload.reason }}"),
                },
            )
        ],
    ).create()
    print(automation.id)  # noqa: T201 - a script's answer


if __name__ == "__main__":
    main(sys.argv[1])
