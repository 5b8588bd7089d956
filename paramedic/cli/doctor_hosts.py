"""The look of `paramedic doctor` at the machines of targets."""

from paramedic.catalog.library import open_library
from paramedic.cli.finding import Finding
from paramedic.cli.host import looked_at
from paramedic.settings import Settings
from paramedic.text.yaml_document import BadDocument


def hosts(settings: Settings) -> Finding:
    """Whether each host is reached, what may be done there, and whether its clock agrees with ours."""
    try:
        listed = open_library(settings).services.hosts
    except BadDocument:
        return Finding("hosts", well=False, words="services.yaml cannot be read: `paramedic runbook lint`")
    if not listed:
        return Finding("hosts", well=True, words="services.yaml lists none: every target is on this machine")
    looked = looked_at(listed.values())
    wrong = [one for one in looked if not one.well]
    words = "; ".join(f"{one.host.name}: {one.words}" for one in wrong or looked)
    return Finding("hosts", well=not wrong, words=words)
