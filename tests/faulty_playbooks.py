"""Playbooks with faults, and what is said of each: what lint sees, what only playing them shows, and some that are well."""

HEAD = """\
from paramedic.incidents.outcome import Ending, Outcome
from tasks.act import apply, restart
from tasks.detect import still_failing
from tasks.diagnose import gather_evidence
from tasks.escalate import hand_over
from tasks.guard import exclusive, suits
from tasks.notify import recovered, resolved
from tasks.playbook import playbook
from tasks.verify import stays_healthy

"""

#: A file's text by its name, and what lint says of it: (line, what).
FAULTS = {
    "our_syntax": (
        """\
def our_syntax(:
""",
        [(1, "it is not Python")],
    ),
    "our_import": (
        """\
import os
import nothing_like_this
from tasks.playbook import playbook
@playbook
def our_import(incident, runbook):
    raise ValueError
""",
        [(2, "it cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this'; install what has")],
    ),
    "our_end": (
        HEAD
        + """\
@playbook
def our_end(incident, runbook):
    raise ValueError
raise SystemExit(3)
""",
        [(14, "SystemExit: 3")],
    ),
    "our_nothing": (
        """\
x = 1
""",
        [(1, "there is no playbook our_nothing in it; write `@playbook`")],
    ),
    "our_plain": (
        """\
def our_plain(incident, runbook):
    return None
""",
        [(1, "our_plain is not a playbook")],
    ),
    "our_prefect": (
        """\
from prefect import flow
@flow
def our_prefect(x: int):
    return x
""",
        [(2, "the flow takes x, and a playbook's only parameter is `run`")],
    ),
    "our_two": (
        HEAD
        + """\
@playbook
def our_two(incident, runbook):
    return recovered(incident)
@playbook
def another(incident, runbook):
    return recovered(incident)
""",
        [(15, "the playbook is called another")],
    ),
    "our_name": (
        HEAD
        + """\
@playbook
def our_other_name(incident, runbook):
    return recovered(incident)
""",
        [(12, "the playbook is called our_other_name, and its file our_name.py")],
    ),
    "restart_service": (
        """\
x = 1
""",
        [(1, "is not used: Paramedic ships a flow of this name; give the file another name")],
    ),
    "Our_Case": (
        """\
x = 1
""",
        [(1, "is not the name of a playbook's file; name it our_case.py")],
    ),
    "our-dash": (
        """\
x = 1
""",
        [(1, "is not the name of a playbook's file; name it our_dash.py")],
    ),
    "our_arguments": (
        HEAD
        + """\
@playbook
def our_arguments(incident):
    return recovered(incident)
""",
        [(12, "and this one takes: incident")],
    ),
    "our_async": (
        HEAD
        + """\
@playbook
async def our_async(incident, runbook):
    return recovered(incident)
""",
        [(12, "a playbook is not `async`")],
    ),
    "our_loose": (
        HEAD
        + """\
@playbook
def our_loose(incident, runbook):
    restart(incident.target)
    with exclusive(incident.target):
        restart(incident.target)
    return recovered(incident)
""",
        [(13, "restart is called outside `with exclusive(incident.target)`")],
    ),
    "our_hidden": (
        HEAD
        + """\
import tasks.act as hands
def _do(incident):
    hands.restart(incident.target)
@playbook
def our_hidden(incident, runbook):
    _do(incident)
    return recovered(incident)
""",
        [(13, "restart is called outside `with exclusive(incident.target)`")],
    ),
    "our_open": (
        HEAD
        + """\
@playbook
def our_open(incident, runbook):
    if still_failing(incident):
        return recovered(incident)
""",
        [(12, "it can come to its end without an outcome")],
    ),
    "our_none": (
        HEAD
        + """\
@playbook
def our_none(incident, runbook):
    return
""",
        [(13, "it ends without an outcome; return what")],
    ),
    "our_early": (
        HEAD
        + """\
restart('web-1/shop')
@playbook
def our_early(incident, runbook):
    raise ValueError
""",
        [(11, "it cannot be imported: LookupError: no playbook is at work")],
    ),
}

#: Playbooks that are well, however they are written.
WELL = {
    "our_helper": HEAD
    + """\
from contextlib import ExitStack
@playbook
def our_helper(incident, runbook):
    with ExitStack() as all_of:
        all_of.enter_context(exclusive(incident.target))
        restart(incident.target)
    return recovered(incident)
""",
    "our_match": HEAD
    + """\
def _do(incident):
    restart(incident.target)
@playbook
def our_match(incident, runbook):
    with exclusive(incident.target):
        _do(incident)
    match incident.attempt:
        case 1:
            return recovered(incident)
        case _:
            return recovered(incident)
""",
    "our_printing": HEAD
    + """\
import sys
print('{}', flush=True)
sys.stdout.write('x')
@playbook
def our_printing(incident, runbook):
    while True:
        try:
            return recovered(incident)
        finally:
            pass
""",
}

#: Playbooks with a fault that only playing them shows, and the words about it.
BUGS = {
    "our_bug": (
        HEAD
        + """\
@playbook
def our_bug(incident, runbook):
    with exclusive(incident.target):
        return resolved(incident, incident.nothing)
""",
        "our_bug.py:14: AttributeError",
    ),
    "our_value": (
        HEAD
        + """\
def _end(incident):
    hand_over(incident, because='x')
@playbook
def our_value(incident, runbook):
    return _end(incident)
""",
        "it returned None, and no Outcome: return what `resolved`",
    ),
    "our_made_up": (
        HEAD
        + """\
@playbook
def our_made_up(incident, runbook):
    return Outcome(Ending.REMEDIATED, 'trust me')
""",
        "the playbook has ended, and its incident is working: end it by resolved",
    ),
    "our_shell": (
        HEAD
        + """\
import subprocess
@playbook
def our_shell(incident, runbook):
    subprocess.run(['touch', 'TOUCHED'])
    return recovered(incident)
""",
        "our_shell.py:14: Reached: a rehearsal does nothing outside itself, and refused subprocess.Popen",
    ),
    "our_socket": (
        HEAD
        + """\
import socket
@playbook
def our_socket(incident, runbook):
    socket.create_connection(('127.0.0.1', 9))
    return recovered(incident)
""",
        "a rehearsal does nothing outside itself, and refused socket.",
    ),
    "our_file": (
        HEAD
        + """\
from pathlib import Path
@playbook
def our_file(incident, runbook):
    Path('TOUCHED').write_text('x')
    return recovered(incident)
""",
        "a rehearsal changes no file, and refused open of",
    ),
}
