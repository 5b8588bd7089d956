"""Playbooks and scheduled flows: the shipped ones, and those of the folder that PARAMEDIC_FLOWS names."""

import os

#: A team's own flows are modules of this package too: one entrypoint, `flows.NAME.NAME`, wherever the file lies.
if os.environ.get("PARAMEDIC_FLOWS"):
    __path__.append(os.environ["PARAMEDIC_FLOWS"])
