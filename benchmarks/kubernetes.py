"""From the webhook's POST to the rollout restart that the API server has accepted, evidence first. `make bench-kubernetes`.

A real kube-apiserver and controller-manager, and a `paramedic up` on embedded defaults, all on one machine:

    paramedic   POST /alerts/alertmanager to the API server's own audit line of the accepted patch; four kinds of evidence are
                gathered before it, and the intent is on the trail
    bare        the same patch, sent by one kept connection, with nothing around it: in turn with the others

Each restart is of a Deployment of its own, whose only pod crashes until then, and ends verified. `-n` is how many there are.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from paramedic.demo.world import Mailbox
from paramedic.machine.clock import boottime, iso, utc_now
from paramedic.stack.stack import Stack
from paramedic.store import Store, incidents
from paramedic.transports.kubernetes import Kubernetes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kubernetes_server import Server, control_plane
from kubernetes_shop import Shop, health_of
from measured_stack import TOKEN, started, until

#: What is reached: seconds at the median.
REACH_SECONDS = 1.2

_PAUSE_SECONDS = 0.5

_RUNBOOK = """\
---
runbook: restart
service: shop
when: [{alert: 'ShopDown'}]
mode: act
playbook: restart-service
with:
  target: {deployment: "{namespace}/{deployment}", host: prod}
  evidence: [workload, pods, events, rollout-history]
  verify: {health: ok, stable: 1s, within: 60s}
guardrails: {budget: 1000 per hour, cooldown: 1s}
---
# A benchmark's

**Meaning.** None.

**Impact.** None.

## Diagnosis

1. None.

## Mitigation

1. None.
"""

_TARGET = '      - {{host: prod, deployment: {{name: api, namespace: {name}}}, health: "{health}/{name}"}}\n'

#: The API server writes a line for each patch of a Deployment that it has answered, and waits until it is written.
_AUDIT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, verbs: [patch], resources: [{group: apps, resources: [deployments]}]}
  - {level: None}
"""


def main() -> None:
    """Measure and print; exit code 1 where the figure is not reached."""
    parser = argparse.ArgumentParser(description="From the webhook to the accepted restart.")
    parser.add_argument("-n", type=int, default=30, help="restarts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-") as name:
        ours, bare = _measured(Path(name), asked.n)
    print(f"{'from the alert to the accepted restart':42}{'median':>10}{'p95':>10}   ms, n={len(ours)}")
    for words, took in (("paramedic, evidence first", ours), ("the bare API call", bare)):
        print(f"{words:42}{statistics.median(took):>10.1f}{sorted(took)[int(len(took) * 0.95)]:>10.1f}")
    reached = statistics.median(ours) <= 1000 * REACH_SECONDS
    print("reached" if reached else f"not reached: {REACH_SECONDS} s at the median")
    sys.exit(not reached)


def _measured(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each restart, by Paramedic and bare."""
    audit, policy = folder / "audit.log", folder / "policy.yaml"
    policy.write_text(_AUDIT)
    (books := folder / "up" / "runbooks").mkdir(parents=True)
    (books / "restart.md").write_text(_RUNBOOK)
    (plane := folder / "plane").mkdir()
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={audit}", "--audit-log-mode=blocking-strict")
    names = [f"shop-{number}" for number in range(count)]
    with control_plane(plane, *flags) as server, Mailbox() as mailbox, ExitStack() as ending:
        shops = [Shop(server, name, "deployment", replicas=1) for name in names]
        bare = Shop(server, "bare", "deployment", replicas=1)
        health = ending.enter_context(health_of(dict(zip(names, shops, strict=True))))
        listed = "".join(_TARGET.format(name=name, health=health) for name in names)
        cluster = f"hosts:\n  prod: {{kubernetes: {{kubeconfig: {server.folder / 'admin'}}}}}\n"
        settings = {"PARAMEDIC_FLEET_SHARE": "100"}
        with started(
            folder / "up", mailbox, f"{cluster}services:\n  shop:\n    targets:\n{listed}", (), **settings
        ) as stack:
            store, ours, base = Store(stack.settings.store()), [], []
            for shop in shops:
                ours.append(_restarted(stack, store, shop, audit))
                base.append(_bare(server, bare))
                time.sleep(_PAUSE_SECONDS)
    return ours, base


def _restarted(stack: Stack, store: Store, shop: Shop, audit: Path) -> float:
    """Milliseconds from an alert about the workload, whose pod crashes, to the patch that the API server has answered."""
    [pod] = shop.names()
    shop.break_pod(pod)
    until(lambda: shop.identity().state.startswith("unavailable"), stack.tick)
    alert = {
        "status": "firing",
        "labels": {"alertname": "ShopDown", "severity": "critical", "namespace": shop.namespace, "deployment": "api"},
        "annotations": {},
        "startsAt": iso(utc_now()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": shop.namespace,
    }
    body = {"version": "4", "groupKey": shop.namespace, "status": "firing", "receiver": "paramedic", "alerts": [alert]}
    body |= {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    posted = time.time()
    answer = httpx.post(
        f"{stack.gateway_url}/alerts/alertmanager", json=body, headers=headers, timeout=30, trust_env=False
    )
    answer.raise_for_status()
    until(lambda: _has_ended(store, shop), stack.tick, seconds=180)
    return 1000 * (_accepted(audit, shop) - posted)


def _has_ended(store: Store, shop: Shop) -> bool:
    with store.read() as tx:
        found = [one for one in incidents.listed(tx, limit=5) if one.target == shop.target.id]
    return bool(found) and found[0].ended_at is not None


def _accepted(audit: Path, shop: Shop) -> float:
    """When the API server had answered the patch of the workload, in seconds since 1970, by its audit log."""
    found = [json.loads(line) for line in audit.read_text().splitlines()]
    lines: list[dict[str, Any]] = [
        line
        for line in found
        if line["objectRef"]["namespace"] == shop.namespace
        and line["userAgent"] == "paramedic"
        and "subresource" not in line["objectRef"]
    ]
    if [line["responseStatus"]["code"] for line in lines] != [200]:
        raise SystemExit(f"{shop.namespace} was patched {len(lines)} times, and not once")
    return datetime.fromisoformat(lines[0]["stageTimestamp"]).timestamp()


def _bare(server: Server, shop: Shop) -> float:
    """Milliseconds of the same patch with nothing around it."""
    mark = {"kubectl.kubernetes.io/restartedAt": iso(utc_now())}
    body = {"spec": {"template": {"metadata": {"annotations": mark}}}}
    media = "application/strategic-merge-patch+json"
    began = time.perf_counter()
    reply = Kubernetes(server.admin).ask("PATCH", shop.path, boottime() + 10, body=body, media_type=media)
    took = time.perf_counter() - began
    if reply.status != 200:
        raise SystemExit(f"the bare patch was answered {reply.status}: {reply.text[:200]}")
    return 1000 * took


if __name__ == "__main__":
    main()
