"""What is seen of a container before a change; and of what is not, why, and what would have shown it."""

from collections.abc import Iterator, Mapping
from typing import Any

from paramedic.docker.answers import mapping
from paramedic.docker.look import Reader
from paramedic.docker.owners import compose_of
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import ByDeadline, Gathered, Unseen, collected
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line


def state(target: Target, transport: Transport, deadline: float) -> Gathered:
    return collected(_state(Reader(target, transport, by=deadline)))


def _state(reader: Reader) -> Iterator[str]:
    seen = reader.inspected()
    yield from _lines(_facts(seen))
    try:  # by what the Engine lists beside it, which it may be slow with where it has hundreds
        beside = {
            "left beside it by a roll-back": ", ".join(reader.left()),
            "restart policy that a roll-back took from it": reader.policy_taken(seen["Id"]),
        }
    except (TemporaryError, PermanentError) as error:
        yield Unseen(f"what a roll-back has left beside it was not seen: {error}; `docker ps --all` shows it")
    else:
        yield from _lines(beside)


def _facts(seen: Mapping[str, Any]) -> Mapping[str, object]:
    state, host, config = (mapping(seen.get(key)) for key in ("State", "HostConfig", "Config"))
    policy, health = mapping(host.get("RestartPolicy")), mapping(state.get("Health"))
    checks = health.get("Log") or [{}]
    return {
        "container": seen["Id"],
        "image": f"{config.get('Image', '')} ({seen.get('Image', '')})",
        "status": state["Status"],
        "started": state.get("StartedAt"),
        "finished": state.get("FinishedAt"),
        "exit code": state.get("ExitCode"),
        "killed for memory (OOMKilled)": state.get("OOMKilled"),
        "error": state.get("Error"),
        "made by Compose, as": compose_of(config),
        "restarts by its policy": f"{seen.get('RestartCount')} ({policy.get('Name') or 'no'})",
        "health": health.get("Status") or "no health check",
        "failing health checks in a row": health.get("FailingStreak"),
        "last health check": mapping(checks[-1]).get("Output"),
        "memory limit, bytes": host.get("Memory") or "none",
        "CPU limit, billionths of a core": host.get("NanoCpus") or "none",
        "process limit": host.get("PidsLimit") or "none",
        "time to stop, seconds": config.get("StopTimeout"),
    }


def _lines(facts: Mapping[str, object]) -> Iterator[str]:
    return (f"{what}: {one_line(str(fact))[:500]}" for what, fact in facts.items() if fact not in (None, ""))


def last_log(target: Target, transport: Transport, deadline: float) -> Gathered:
    return Reader(target, transport, by=deadline).log()


def memory(target: Target, transport: Transport, deadline: float) -> Gathered:
    return Gathered(Reader(target, transport, by=deadline).used())


EVIDENCE = {
    "state": ByDeadline(state, from_beginning=False),
    "memory": ByDeadline(memory, from_beginning=False),
    "last-log": ByDeadline(last_log, from_beginning=False),
}
