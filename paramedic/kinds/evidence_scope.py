"""What a kind of evidence looks at. Authors have it from `paramedic.kinds.evidence`."""

from enum import StrEnum


class Of(StrEnum):
    """What a kind of evidence looks at."""

    HOST = "host"  # the machine that the target is on
    PROCESS = "process"  # the target's main process: only kinds of targets that have `process_id` offer it
    TARGET = "target"  # what services.yaml says of the target
    PLACE = "place"  # where the target is: its machine, or the cluster that it is in
