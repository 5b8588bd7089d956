"""What `paramedic playbook new` writes: a playbook that works as it is, and its test."""

PLAYBOOK = '''\
"""{title}: a playbook of our own. Paramedic's docs/verbs.md describes each verb."""

from paramedic.catalog.runbook import Runbook
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Outcome
from tasks.act import restart
from tasks.detect import still_failing
from tasks.diagnose import gather_evidence
from tasks.escalate import hand_over
from tasks.guard import exclusive
from tasks.notify import recovered, resolved
from tasks.playbook import playbook
from tasks.verify import stays_healthy


@playbook
def {function}(incident: Incident, runbook: Runbook) -> Outcome:
    """Restart the target once, verify that it stays healthy, and hand it over where it does not.

    The first sentence is what `paramedic runbook test` says of this playbook, and what stands beside its runs.
    """
    # One playbook a target: changes are refused outside this block. It may be entered again from the first line, after an
    # approval or a retry: then what was done before is verified, and not repeated.
    with exclusive(incident.target):
        # A fresh look: alerts come late, and some heal by themselves. What cannot be seen is handed over from here.
        if not still_failing(incident):
            return recovered(incident)

        # Before the change, which destroys it: what `with.evidence` of the runbook names.
        evidence = gather_evidence(incident, runbook)

        # Every guardrail of the runbook is asked here, and a refusal ends the playbook: a person gets the incident.
        restart(incident.target)

        # Only a measurement says that it helped, never that a command ended with 0.
        healthy = stays_healthy(incident, runbook)

    # Every way out returns an outcome: resolved, recovered or hand_over.
    if not healthy:
        return hand_over(incident, because="restarted, still failing", evidence=evidence)
    return resolved(incident, evidence)
'''

TEST = '''\
"""The playbook {name} against a fake world, by pytest and Paramedic's own Python. Nothing is asked or changed."""

import json
import subprocess
import sys
from pathlib import Path

#: The runbook that it is rehearsed with; its settings are those of this shell (PARAMEDIC_FLOWS, PARAMEDIC_RUNBOOKS).
RUNBOOK = "{runbook}"


def rehearsed(*world: str) -> dict:
    """What one rehearsal came to: `steps`, `changes`, `ending`, `because`."""
    paramedic = Path(sys.executable).with_name("paramedic")
    command = [paramedic, "playbook", "rehearse", "{name}", "--runbook", RUNBOOK, "--json", *world]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    [found] = json.loads(done.stdout)
    return found


def test_what_is_well_again_is_left_alone() -> None:
    found = rehearsed("--seen", "well")
    assert (found["ending"], found["changes"]) == ("recovered", [])


def test_what_one_restart_heals_is_resolved() -> None:
    found = rehearsed("--seen", "failing,well")
    assert (found["ending"], found["changes"]) == ("remediated", ["restart"])


def test_what_a_restart_does_not_heal_goes_to_a_person_and_is_not_restarted_twice() -> None:
    found = rehearsed("--seen", "failing")
    assert (found["ending"], found["changes"]) == ("handed_over", ["restart"])


def test_what_cannot_be_seen_goes_to_a_person_untouched() -> None:
    found = rehearsed("--seen", "unknown")
    assert (found["ending"], found["changes"]) == ("handed_over", [])
'''
