"""What owns a container beside the Engine, by its labels, and replaces it or keeps a record of it."""

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from paramedic.docker.answers import mapping
from paramedic.text.sanitize import one_line


class Owner(NamedTuple):
    """Something that replaces a container of its own as soon as that stops; `{}` is the label's value."""

    label: str
    words: str
    by_hand: str


#: Docker Compose is not one: it leaves a container alone that somebody else restarts.
_OWNERS = (
    Owner(
        "PODMAN_SYSTEMD_UNIT",
        "systemd runs it, as the unit {}",
        "list `systemd: {}` in services.yaml, or `systemctl restart {}` (`--user` for a user's)",
    ),
    Owner(
        "com.docker.swarm.service.name", "it is a task of the Swarm service {}", "`docker service update --force {}`"
    ),
    Owner(
        "io.kubernetes.pod.name", "a kubelet runs it, in the pod {}", "`kubectl delete pod {}` in the pod's namespace"
    ),
    Owner("com.hashicorp.nomad.alloc_id", "it is in the Nomad allocation {}", "`nomad alloc restart {}`"),
    Owner("com.amazonaws.ecs.task-arn", "it is in the ECS task {}", "`aws ecs stop-task --task {}` in its cluster"),
)

#: podman-compose puts this unit's name on every container, whether the unit exists or not; the unit runs none of them itself.
_OF_PODMAN_COMPOSE = "podman-compose@"

#: The labels of a project and its service, by Docker Compose and by podman-compose.
_COMPOSE = ("com.docker.compose.project", "com.docker.compose.service")


def owner_of(seen: Mapping[str, Any]) -> Owner | None:
    """What would replace the container if it were restarted here, in words about this one."""
    labels = mapping(mapping(seen.get("Config")).get("Labels"))
    for label, words, by_hand in _OWNERS:
        name = one_line(str(labels.get(label) or ""))[:200]
        if name and not name.startswith(_OF_PODMAN_COMPOSE):
            return Owner(label, words.format(name), by_hand.replace("{}", shlex.quote(name)))
    return None


#: Update agents that would bring the image back that was left, by the label that asks them to.
_UPDATERS = (
    ("com.centurylinklabs.watchtower.enable", "Watchtower"),
    ("io.containers.autoupdate", "podman auto-update"),
)


def keeper_of(seen: Mapping[str, Any]) -> Owner | None:
    """What would undo a roll-back, or has a record of the container that it would break; more than what owns it."""
    if (owner := owner_of(seen)) is not None:
        if owner.label == "com.docker.swarm.service.name":
            return owner._replace(by_hand=owner.by_hand.replace("update --force", "rollback"))
        return owner
    labels = mapping(mapping(seen.get("Config")).get("Labels"))
    if (project := one_line(str(labels.get(_COMPOSE[0]) or ""))[:200]) and (
        service := one_line(str(labels.get(_COMPOSE[1]) or ""))[:200]
    ):
        files = str(labels.get("com.docker.compose.project.config_files") or "")
        named = " ".join(f"-f {shlex.quote(one_line(file)[:300])}" for file in files.split(",") if file)
        where = f"{named} " if named else ""
        return Owner(
            _COMPOSE[0],
            f"Compose has made it, as {service} of the project {project}, and would make it again from its own file",
            f"write the older image at {service} in that file, then `docker compose {where}-p {shlex.quote(project)} up -d "
            f"--no-deps {shlex.quote(service)}`",
        )
    for label, who in _UPDATERS:
        if str(labels.get(label) or "false").lower() not in ("false", "disabled"):
            return Owner(label, f"{who} would update it again", f"take the label {label} off it, or stop {who}")
    return None


def compose_of(config: Mapping[str, Any]) -> str:
    """Project and service, where Compose has made the container; otherwise nothing."""
    labels = mapping(config.get("Labels"))
    return "/".join(str(labels[name]) for name in _COMPOSE if name in labels)
