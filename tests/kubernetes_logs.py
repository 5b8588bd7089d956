"""What the double of an API server passes on of a container's log, by the API's own bounds (Pod, "read log")."""

from collections.abc import Mapping


def printed(log: str, query: Mapping[str, str]) -> str:
    """The lines asked for: the last `tailLines` of them, and of those the first `limitBytes`, as kubelets have it."""
    lines = log.splitlines(keepends=True)
    if "tailLines" in query:
        lines = lines[-int(query["tailLines"]) :]
    text = "".join(lines)
    return text.encode()[: int(query["limitBytes"])].decode() if "limitBytes" in query else text
