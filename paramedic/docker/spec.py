"""Another container like one that there is, of another image: what the Engine is asked to create, and what it cannot carry over.

An inspected container does not tell what its author wrote from what its image brought. What equals the image's own is left out,
so that the other image brings its own in its place: its command, its variables, its folder.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from paramedic.docker.answers import mapping
from paramedic.text.sanitize import one_line

#: What the roll-back writes on the new container: which one it replaced, that one's image, its restart policy, and its own act.
REPLACED, LEFT, POLICY = "paramedic.replaced", "paramedic.left-image", "paramedic.restart-policy"
ACT = "paramedic.act"

#: Of `Config`: what an image may bring, and what it never does.
_FROM_IMAGE = ("Cmd", "Entrypoint", "User", "WorkingDir", "StopSignal", "Healthcheck", "Shell")
_OWN = ("Domainname", "Tty", "OpenStdin", "StdinOnce", "StopTimeout", "MacAddress", "NetworkDisabled", "ArgsEscaped")

#: Values that say as much as nothing.
_NOTHING: tuple[object, ...] = (None, "", [], {}, 0, False)

#: podman's own words for a container whose author and image said nothing.
_DEFAULTS: Mapping[str, tuple[object, ...]] = {"WorkingDir": ("/",), "StopSignal": ("15", "SIGTERM")}

#: Folders whose files a container makes anew when it is made anew, and files that its Engine writes.
_PASSING = tuple(
    f"/{folder}/" for folder in ["tmp", "var/tmp", "run", "var/run", "var/cache", "var/log", "dev", "proc", "sys"]
)
_OF_ENGINE = frozenset(
    {"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"}
    | {"/etc", "/root", "/home", "/var", *(folder.rstrip("/") for folder in _PASSING)}
)


def body(seen: Mapping[str, Any], image: Mapping[str, Any], other: str, act: str = "") -> dict[str, Any]:
    """What `POST /containers/create` is sent, for one like `seen`, whose image is `image`, of the image `other`, by this act."""
    config, brought = mapping(seen.get("Config")), mapping(image.get("Config"))
    made: dict[str, Any] = {key: config[key] for key in _OWN if config.get(key) not in _NOTHING}
    for key in _FROM_IMAGE:
        value = config.get(key)
        if value not in _NOTHING and value != brought.get(key) and value not in _DEFAULTS.get(key, ()):
            made[key] = value
    made |= {
        "Image": other,
        "Env": _without(config.get("Env"), brought.get("Env"), f"HOSTNAME={config.get('Hostname')}"),
        "Labels": _of_author(config.get("Labels"), brought.get("Labels")) | _marks(seen, act),
        "ExposedPorts": _of_author(config.get("ExposedPorts"), brought.get("ExposedPorts")),
        "HostConfig": _host(seen),
    }
    if (hostname := config.get("Hostname")) and not str(seen["Id"]).startswith(str(hostname)):
        made["Hostname"] = hostname
    if endpoints := joined_at_once(seen):
        made["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return made


def joined_at_once(seen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Its network that another one is made with: an Engine before Docker 25 takes only one. The rest are joined after it."""
    endpoints, first = networks(seen), mapping(seen.get("HostConfig")).get("NetworkMode")
    return {
        name: endpoints[name]
        for name in list(endpoints)
        if name == (first if first in endpoints else next(iter(endpoints)))
    }


def networks(seen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Its networks by name, each with what its author asked for there: aliases, addresses, options of the driver."""
    mode = str(mapping(seen.get("HostConfig")).get("NetworkMode") or "")
    if mode in ("host", "none") or mode.startswith(("container:", "ns:", "slirp4netns", "pasta")):
        return {}
    found = mapping(mapping(seen.get("NetworkSettings")).get("Networks"))
    return {str(name): _endpoint(seen, mapping(found[name])) for name in found}


def _endpoint(seen: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
    own = (str(seen["Id"])[:12], str(seen["Name"]).removeprefix("/"))
    asked = {key: end[key] for key in ("IPAMConfig", "Links", "DriverOpts") if end.get(key) not in _NOTHING}
    if aliases := [alias for alias in end.get("Aliases") or () if alias not in own]:
        asked["Aliases"] = aliases
    return asked


def _marks(seen: Mapping[str, Any], act: str) -> dict[str, str]:
    return {REPLACED: str(seen["Id"]), LEFT: str(seen.get("Image")), POLICY: policy(seen), ACT: act}


#: Restart policies by which an Engine starts a container that somebody has stopped, when it starts itself.
STARTED_AT_BOOT = ("always", "unless-stopped")


def comes_back(seen: Mapping[str, Any]) -> bool:
    """Whether its restart policy may start it though it was stopped."""
    return policy(seen) in STARTED_AT_BOOT


def policy(seen: Mapping[str, Any]) -> str:
    """The name of its restart policy: `no`, `always`, `unless-stopped`, `on-failure`."""
    return str(mapping(mapping(seen.get("HostConfig")).get("RestartPolicy")).get("Name") or "no")


def _without(values: object, brought: object, *others: str) -> list[str]:
    left = {*(brought if isinstance(brought, list) else ()), *others}
    return [value for value in (values if isinstance(values, list) else ()) if value not in left]


def _of_author(values: object, brought: object) -> dict[str, Any]:
    theirs = mapping(brought)
    return {str(key): value for key, value in mapping(values).items() if key not in theirs or theirs[key] != value}


def _host(seen: Mapping[str, Any]) -> dict[str, Any]:
    """HostConfig as it was asked for: without what the Engine has worked out itself, and with its anonymous volumes by name."""
    host = {key: value for key, value in mapping(seen.get("HostConfig")).items() if value is not None}
    for key in ("ContainerIDFile", "ConsoleSize", "Cgroup"):
        host.pop(key, None)
    if host.get("NanoCpus"):
        host.pop("CpuPeriod", None)
        host.pop("CpuQuota", None)
    if host.get("MemorySwappiness") == -1:
        del host["MemorySwappiness"]
    if host.get("Runtime") == "oci":  # podman's word for its own
        del host["Runtime"]
    host["Ulimits"] = [
        {**one, "Name": str(one.get("Name", "")).removeprefix("RLIMIT_").lower()} for one in host.get("Ulimits") or ()
    ]
    host["Binds"] = [*(host.get("Binds") or ()), *_unnamed(seen, host)]
    return host


def _unnamed(seen: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[str]:
    """Volumes that nobody asked for by name: those of the image, and `-v /folder`."""
    asked = {str(bind).split(":")[1] for bind in host.get("Binds") or () if ":" in str(bind)}
    asked |= {str(mount.get("Target")) for mount in host.get("Mounts") or () if isinstance(mount, Mapping)}
    for mount in seen.get("Mounts") or ():
        if mount.get("Type") == "volume" and mount.get("Destination") not in asked:
            yield f"{mount.get('Name')}:{mount.get('Destination')}{'' if mount.get('RW', True) else ':ro'}"


def lost(seen: Mapping[str, Any], *, docker: bool) -> str | None:
    """What of the container's configuration no other one can be given, in words; None where nothing is.

    `docker`: its Engine is Docker's own, which lets go of a restart policy. podman does not, and at the next boot it would start
    the one that is kept beside the one that took its place.
    """
    host, config = mapping(seen.get("HostConfig")), mapping(seen.get("Config"))
    if not docker and policy(seen) in STARTED_AT_BOOT:
        return f"podman starts what has the restart policy {policy(seen)} at boot, and the one that is kept would be started too"
    if host.get("AutoRemove"):
        return "it was made with --rm: it is removed when it stops"
    if str(host.get("NetworkMode", "")).startswith(("container:", "ns:")):
        return "it shares the network of another container, or of a pod"
    if host.get("Links"):
        return "it has links to other containers (`--link`)"
    if any(
        str(host.get(key, "")).startswith(("container:", "ns:"))
        for key in ("IpcMode", "PidMode", "UTSMode", "UsernsMode")
    ):
        return "it shares namespaces with another container, or with a pod"
    if config.get("OpenStdin") and not config.get("Tty"):
        return "its input is kept open for somebody who attaches to it"
    return None


def written(changes: object, seen: Mapping[str, Any]) -> list[str]:
    """The files outside its mounts that the container has written, or that were put into it, and that a new one would not have.

    `changes` is what the Engine says of its file system. Raises TypeError or KeyError where that is no list of changes.
    """
    if not isinstance(changes, list):
        raise TypeError("not a list")
    paths = {str(change["Path"]) for change in changes}
    parents = {path.rpartition("/")[0] for path in paths}
    mounted = {str(mount.get("Destination")) for mount in seen.get("Mounts") or ()}
    mounted |= set(mapping(mapping(seen.get("HostConfig")).get("Tmpfs")))
    return sorted(
        one_line(path)
        for path in paths - parents - _OF_ENGINE - mounted
        if not path.startswith(_PASSING) and not any(path.startswith(f"{place}/") for place in mounted)
    )


def differences(seen: Mapping[str, Any], made: Mapping[str, Any], image: Mapping[str, Any]) -> list[str]:
    """What of the configuration the Engine did not give the new container, by its keys: the net under all of the above."""
    found = list(_unlike("HostConfig", mapping(seen.get("HostConfig")), mapping(made.get("HostConfig")), _HOST_MAY))
    brought = mapping(image.get("Config"))
    was, now = mapping(seen.get("Config")), mapping(made.get("Config"))
    for key in (*_OWN, "User", "Cmd", "Entrypoint"):
        value = was.get(key)
        if value not in _NOTHING and value != brought.get(key) and value != now.get(key):
            found.append(f"Config.{key}")
    missing = set(_without(was.get("Env"), brought.get("Env"), f"HOSTNAME={was.get('Hostname')}")) - set(
        now.get("Env") or ()
    )
    found += [f"Config.Env: {one_line(value.partition('=')[0])}" for value in sorted(missing)]
    labels = mapping(now.get("Labels"))
    found += [
        f"Config.Labels: {one_line(key)}"
        for key, value in _of_author(was.get("Labels"), brought.get("Labels")).items()
        if labels.get(key) != value and key not in (REPLACED, LEFT, POLICY, ACT)
    ]
    if _mounts(seen) != _mounts(made):
        found.append("Mounts")
    return found


#: Keys of HostConfig whose form may be another though the meaning is the same.
_HOST_MAY = frozenset({"Binds", "Mounts", "ContainerIDFile", "ConsoleSize", "CpuPeriod", "CpuQuota", "Cgroup", "Tmpfs"})


def _unlike(path: str, was: Mapping[str, Any], now: Mapping[str, Any], but: frozenset[str]) -> Iterator[str]:
    for key in sorted({*was, *now} - but):
        one, other = was.get(key), now.get(key)
        if one in _NOTHING and other in _NOTHING:
            continue
        if one != other:
            yield f"{path}.{key}"


def _mounts(seen: Mapping[str, Any]) -> set[tuple[str, str, str, bool]]:
    return {
        (
            str(mount.get("Type")),
            str(mount.get("Name") or mount.get("Source") or ""),
            str(mount.get("Destination")),
            bool(mount.get("RW", True)),
        )
        for mount in seen.get("Mounts") or ()
    }
