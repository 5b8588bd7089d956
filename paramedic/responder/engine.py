"""One warm process: imports everything first, then waits for one flow run, runs it as Prefect's engine does, and ends."""

import importlib
import json
import os
import runpy
import sys
from pathlib import Path

from paramedic.lifeline import die_with_parent
from paramedic.secret import hush_logging
from paramedic.settings import ROOT


def main() -> None:
    """Wait on standard input for one line of JSON, `{"flow_run": id, "env": {...}}`; end of input means go home."""
    die_with_parent()
    hush_logging()
    _warm()
    line = sys.stdin.readline()
    if not line.strip():
        return
    told = json.loads(line)
    os.environ.update(told["env"])
    sys.argv = ["prefect.engine", told["flow_run"]]
    sys.modules.pop("prefect.engine", None)
    runpy.run_module("prefect.engine", run_name="__main__")


def _warm() -> None:
    """What costs seconds, before anybody waits for it. A flow that cannot be imported fails when it is run, aloud."""
    importlib.import_module("prefect.engine")
    importlib.import_module("prefect.flow_engine")
    sys.path.insert(0, str(ROOT))
    for path in sorted((ROOT / "flows").glob("[a-z]*.py")):
        try:
            importlib.import_module(f"flows.{Path(path).stem}")
        except Exception as error:  # noqa: BLE001 - somebody's flow: the others must run
            sys.stderr.write(f"{path.name} cannot be imported: {type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
