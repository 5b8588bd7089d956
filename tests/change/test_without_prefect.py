"""Whatever is tested here is imported without Prefect, and without the door that changes production."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_moment_before_a_change_needs_no_prefect_and_opens_no_door() -> None:
    modules = [f"paramedic.change.{path.stem}" for path in sorted((ROOT / "paramedic" / "change").glob("[a-z]*.py"))]
    assert "paramedic.change.guarded" in modules
    code = f"import sys, {', '.join(modules)}; print({{'prefect', 'paramedic.doors.changing'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
