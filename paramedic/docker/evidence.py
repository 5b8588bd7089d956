"""What is seen of a container before a change."""

from paramedic.docker.answers import mapping
from paramedic.docker.look import Reader
from paramedic.docker.owners import compose_of
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line


def state(target: Target, transport: Transport) -> str:
    reader = Reader(target, transport)
    seen = reader.inspected()
    state, host, config = (mapping(seen.get(key)) for key in ("State", "HostConfig", "Config"))
    policy, health = mapping(host.get("RestartPolicy")), mapping(state.get("Health"))
    checks = health.get("Log") or [{}]
    facts = {
        "container": seen["Id"],
        "left beside it by a roll-back": ", ".join(reader.left()),
        "restart policy that a roll-back took from it": reader.policy_taken(seen["Id"]),
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
    return "\n".join(f"{what}: {one_line(str(fact))[:500]}" for what, fact in facts.items() if fact not in (None, ""))


def last_log(target: Target, transport: Transport) -> str:
    return Reader(target, transport).log()


def memory(target: Target, transport: Transport) -> str:
    return Reader(target, transport).used()


EVIDENCE = {"state": state, "memory": memory, "last-log": last_log}
