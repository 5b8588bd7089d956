"""Why an alert opens and joins no incident, now or at all: in one word each, for lists and figures; its reason says more."""

from enum import StrEnum


class HeldBack(StrEnum):
    """What holds an alert back. The first seven hold it for a time, the others for good."""

    SILENCE = "silence"  # somebody silenced what matches
    INHIBITED = "inhibited"  # another alert fires and inhibits it, by a rule
    MAINTENANCE = "maintenance"  # its target is being worked on
    DEPENDENCY = "dependency"  # a service that its service needs is down
    RECOVERING = "recovering"  # that one is up again, and it has time to recover
    SETTLING = "settling"  # a playbook has just seen its target well
    FLAPPING = "flapping"  # it fires and ends again and again, and a person was told of that
    INFORMATION = "information"  # its severity is for information
    OWN_MESSAGE = "own_message"  # Paramedic's own message came back
    STALE = "stale"  # its sender has said since that it is over, or that it began again
    OVER = "over"  # it is over, and nothing is open for it
    TAKEN = "taken"  # somebody has it at its sender, and nothing is open for it
