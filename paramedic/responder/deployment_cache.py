"""A cache of the pool's deployments and queues, so that the start of a run need not request them."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import FlowRun, WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from paramedic.catalog import deployments

#: How long Prefect's answer about a deployment is trusted.
BELIEVED_SECONDS = 30.0


class DeploymentCache:
    """The cached data of one work pool."""

    def __init__(self, pool: str, flows: Path | None) -> None:
        """`flows`: the team's own folder of playbooks."""
        self._pool, self._flows = pool, flows
        self._deployments: dict[UUID, DeploymentResponse] = {}
        self.entrypoints = deployments.entrypoints(flows)  # that runs may have
        self.queues: dict[str, WorkQueue] = {}  # that are not paused

    async def look_at_queues(self, client: PrefectClient) -> None:
        """Refresh the queues: paused ones take no run; a poll learns that from the server, a notification does not."""
        pool = await client.read_work_pool(self._pool)
        queues = [] if pool.is_paused else await client.read_work_queues(work_pool_name=self._pool)
        self.queues = {queue.name: queue for queue in queues if not queue.is_paused}

    async def look_at_deployments(self, client: PrefectClient) -> None:
        """Refresh the pool's deployments, before a run needs them."""
        await self.look_at_files()
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool]))
        found = await client.read_deployments(work_pool_filter=pool, limit=200)
        self._deployments = {deployment.id: deployment for deployment in found}

    async def look_at_files(self) -> None:
        """Refresh the allowed entrypoints: a playbook may be new."""
        self.entrypoints = await asyncio.to_thread(deployments.entrypoints, self._flows)

    async def of(self, flow_run: FlowRun, client: PrefectClient) -> DeploymentResponse | None:
        """The run's deployment; None where it is gone."""
        number = flow_run.deployment_id
        if number is None:
            return None
        if number not in self._deployments:
            try:
                self._deployments[number] = await client.read_deployment(number)
            except ObjectNotFound:
                return None
        return self._deployments[number]

    def related(self, flow_run: FlowRun, pool: WorkPool | None) -> dict[str, dict[str, Any]]:
        """The related resources of the run's events, as far as known, by Prefect's own keys."""
        queue = self.queues.get(flow_run.work_queue_name or "")
        deployment = self._deployments.get(flow_run.deployment_id) if flow_run.deployment_id else None
        related = {f"work-pool.{pool.name}": _named(pool)} if pool else {}
        if queue is not None:
            related[f"work-queue.{queue.id}"] = _named(queue)
        if deployment is not None and not (deployment.branch or deployment.base):  # Prefect names these, too
            related[f"deployment.{deployment.id}"] = _named(deployment) | {"tags": deployment.tags}
        return related


def _named(item: WorkPool | WorkQueue | DeploymentResponse) -> dict[str, Any]:
    return {"id": str(item.id), "name": item.name}
