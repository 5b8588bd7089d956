"""`paramedic doctor` on playbooks of one's own: whether the responder can import them."""

from paramedic.catalog import playbook_file
from paramedic.cli import playbook_child
from paramedic.cli.finding import Finding
from paramedic.errors import Refused
from paramedic.settings import Settings


def playbooks(settings: Settings) -> Finding:
    """Whether the team's own playbooks can be imported, and are what runs."""
    if settings.flows is None:
        return Finding("playbooks", well=True, words="the shipped ones; PARAMEDIC_FLOWS names a folder of your own")
    try:
        wrong = playbook_child.problems(settings)
    except Refused as no:
        return Finding("playbooks", well=False, words=str(no))
    if wrong:
        return Finding("playbooks", well=False, words=f"{wrong[0]}; all: `paramedic playbook lint`")
    count = len(playbook_file.files(settings.flows))
    return Finding("playbooks", well=True, words=f"{count} of your own in {settings.flows} can be imported")
