"""One whole Paramedic for the kill table and its neighbours: what one row leaves behind is the next one's burden, as in life."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill.driver import Ward, ward
from kill.table import TABLE

#: name -> what is wrong with the service from its start.
STORIES = {
    "stopped-before-intent": "",
    "stopped-after-intent": "",
    "retried": "",
    "fifty": "",
    "two-names": "",
    "hostile": "",
    "planted": "",
    "beyond-help": "--starts-broken",
    "window": "",
    "third-cure": "",
    "paused": "",
    "tag-limit": "",
    "no-trail": "",
    "dead-key": "",
    "locked": "",
    "acknowledged": "",
    "frozen-prefect": "",
    "frozen-after-act": "",
    "observed": "",
    "ours": "",
    "bad-release": "",
    "bad-release-dies": "",
    "bad-release-half": "",
    "unmarked-release": "",
    "old-release": "",
    "unwanted": "",
    "undeployed": "",
    "frozen-supervisord": "",
    **{
        f"cancelled-at-{point}": "" for point in ("claimed", "evidence_taken", "intent_written", "act_sent", "verified")
    },
}


@pytest.fixture(scope="package")
def whole() -> Iterator[Ward]:
    services = [(row.id, "web-1", "") for row in TABLE] + [(name, "web-2", faults) for name, faults in STORIES.items()]
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, ward(Path(folder), services) as up:
        yield up
