"""A round of a scheduled flow as a process of its own. It needs no Prefect: what it does is in the store."""

import os
import subprocess
import sys
import uuid

from paramedic.settings import ROOT, Settings


def begin(flow: str, settings: Settings, **env: str) -> subprocess.Popen[str]:
    """Start one; what it says is how it ended."""
    code = f"from flows.{flow} import {flow}; from tasks.scheduled import Period; print({flow}.fn(Period()).name)"
    own = {"PREFECT__RUNTIME__FLOW_RUN__ID": str(uuid.uuid4())}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | settings.as_env() | own | env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
