"""A page beside a run in the Prefect UI: a Markdown artifact, one of its key a run."""

import httpx

from paramedic.text.redaction import redact_known


def keep_page(prefect: httpx.Client, *, key: str, text: str, flow_run: str) -> None:
    """Show the text as the run's page of this key: written anew where the newest of the key is the run's, else created.

    Secrets that are known are taken out; what the parts of the text need beyond that, whoever composed them has done. Raises
    httpx.HTTPError. Prefect REST API reference: "Read Latest Artifact", "Read Artifacts", "Update Artifact", "Create Artifact".
    """
    shown = redact_known(text)
    newest = prefect.get(f"/artifacts/{key}/latest")  # a GET: what only may write waits in the server's queue
    if newest.status_code != 404 and newest.raise_for_status().json()["flow_run_id"] == flow_run:
        # The id in that answer is of the key's collection, and not of an artifact.
        which = {"key": {"any_": [key]}, "flow_run_id": {"any_": [flow_run]}}
        wanted = {"artifacts": which, "sort": "CREATED_DESC", "limit": 1}
        [ours] = prefect.post("/artifacts/filter", json=wanted).raise_for_status().json()
        answer = prefect.patch(f"/artifacts/{ours['id']}", json={"data": shown})
    else:
        body = {"key": key, "type": "markdown", "data": shown, "flow_run_id": flow_run}
        answer = prefect.post("/artifacts/", json=body)
    answer.raise_for_status()
