"""What each Python thread of the target's process is doing, by py-spy where the host has it."""

from paramedic.errors import PermanentError
from paramedic.kinds.evidence import PTRACE, Gathered, Of, Scene

ABOUT = "the Python stack of each thread of the process, by py-spy where it is installed; the process is not paused"
OF = Of.PROCESS

#: Without pausing it the stacks may move under the look: a second one then. No values of variables: they may be secrets.
_SCRIPT = """
command -v py-spy >/dev/null || { part absent; exit; }
dump() { timeout 2 py-spy dump --nonblocking --pid "$1"; }
part stacks
dump "$1" || dump "$1" || { part failed; echo "$?"; }
"""


def gather(scene: Scene) -> Gathered:
    """One look. Raises PermanentError where py-spy is not there, may not look, or finds no Python."""
    pid = scene.process_id()
    printed = scene.shell(_SCRIPT, str(pid))
    if "absent" in printed.parts:
        raise PermanentError(
            f"py-spy is not installed on {scene.target.host}; `pip install py-spy` for the user of Paramedic there"
        )
    if stacks := printed.part("stacks"):
        return Gathered(stacks)
    if printed.not_permitted or "Permission Denied" in printed.errors:
        raise PermanentError(f"not permitted; needs {PTRACE} (kernel.yama.ptrace_scope)")
    why = printed.errors.strip().splitlines()[:1] or ["py-spy ended without an answer"]
    raise PermanentError(f"py-spy shows nothing of process {pid}: {why[0]}")
