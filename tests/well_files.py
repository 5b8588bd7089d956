"""Files that lint calls well by construction: each value is drawn together with what it means."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from well_options import OPTIONS, Said

from paramedic.catalog import target_kinds
from paramedic.catalog.advice import advice
from paramedic.catalog.library import Library, read_folder
from paramedic.checks import probes
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Written
from paramedic.text.quantity import Unit

At = tuple[str | int, ...]

PROSE = "\n---\n## Meaning\nDown.\n## Impact\nAll.\n## Diagnosis\nLook.\n## Mitigation\nMend.\n"

#: The time that a change has where no setting says another.
ACT_DEADLINE = timedelta(seconds=30)

MS, MINUTE, HOUR, DAY = (timedelta(milliseconds=one) for one in (1, 60_000, 3_600_000, 86_400_000))


def written(document: Any) -> Any:
    """The document as an author writes it."""
    if isinstance(document, Said):
        return document.text
    if isinstance(document, Mapping):
        return {key: written(value) for key, value in document.items()}
    return [written(value) for value in document] if isinstance(document, list) else document


def meanings(document: Any, at: At = ()) -> dict[At, Any]:
    """What every value of the document means, by its place."""
    if isinstance(document, Said):
        return {at: document.means}
    if isinstance(document, Mapping | list):
        items = document.items() if isinstance(document, Mapping) else enumerate(document)
        return {place: means for key, value in items for place, means in meanings(value, (*at, key)).items()}
    return {at: document}


def dumped(document: Any) -> str:
    """The document as YAML."""
    return json.dumps(written(document), ensure_ascii=False) + "\n"  # which is YAML too, and written in no time


class Folder(NamedTuple):
    """A folder of authors' files; `settings` are those that it is used with, as the environment has them."""

    services: dict[str, Any]
    runbook: dict[str, Any]
    oncall: dict[str, Any]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """Of its runbook."""
        return str(written(self.runbook["runbook"]))

    def write(self, place: Path, *, called: str = "") -> Path:
        """Write its files, in place of those of another one; the runbook's by its name, or as it is `called`."""
        for old in place.glob("*.md"):
            old.unlink()
        (place / "services.yaml").write_text(dumped(self.services), encoding="utf-8")
        (place / "oncall.yaml").write_text(dumped(self.oncall), encoding="utf-8")
        (place / f"{called or self.name}.md").write_text(f"---\n{dumped(self.runbook)}{PROSE}", encoding="utf-8")
        return place


def linted(place: Path, act_deadline: timedelta = ACT_DEADLINE) -> Library:
    """The library of a folder, about which `paramedic runbook lint` says nothing."""
    library = read_folder(place)
    assert [str(one) for one in [*library.problems, *advice(library, place, act_deadline=act_deadline)]] == []
    return library


# --- values -----------------------------------------------------------------------------------------------------------

_SPANS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _in_parts(ms: int) -> Iterator[str]:
    for unit, size in _SPANS:
        number, ms = divmod(ms, size)
        if number:
            yield f"{number}{unit}"


@st.composite
def spans(draw: st.DrawFn, least: timedelta, most: timedelta) -> Said:
    """A duration between the two, in any of the forms that people write."""
    first, last = least // MS, most // MS
    unit, size = draw(st.sampled_from([one for one in _SPANS if one[1] <= last]))
    number = draw(st.integers(0, max(0, min(last // size, 99))))
    ms = min(max(first, number * size + draw(st.sampled_from([0, 0, 1, 250]))), last)
    forms = [" ".join(_in_parts(ms)) or "0s", f"{ms // 1000}.{ms % 1000:03}s"]
    forms += [f"{ms // size} {unit}"] if ms % size == 0 and ms // size < 10**9 else []
    return Said(draw(st.sampled_from(forms)), timedelta(milliseconds=ms))


@st.composite
def sizes(draw: st.DrawFn, least: int, most: int) -> Said:
    """A size between the two, in bytes."""
    fit = [unit for unit, factor in _SIZES.items() if least <= 999 * factor and factor <= most and least <= 10**12]
    unit = draw(st.sampled_from(fit))
    factor = _SIZES[unit]
    number = draw(st.integers(max(1, -(-least // factor)), min(999, most // factor)))
    half = factor % 2 == 0 and (number * factor + factor // 2) <= most and draw(st.booleans())
    return (
        Said(f"{number}.5{unit}", number * factor + factor // 2) if half else Said(f"{number}{unit}", number * factor)
    )


def percents(least: int, most: int) -> st.SearchStrategy[Said]:
    """A percentage; the ends are tenths."""
    return st.integers(least, most).map(lambda tenths: Said(f"{tenths / 10}%", tenths / 10))


def some(draw: st.DrawFn, keys: Mapping[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """Some of these keys."""
    return {key: draw(value) for key, value in keys.items() if draw(st.booleans())}


# --- services.yaml ----------------------------------------------------------------------------------------------------

HOSTS = ("web-1", "web-2.internal", "10.0.0.1", "::1", "2001:db8::7", "größe")
NAMES = {"supervisord": ("api", "shop:web", "Api 2"), "systemd": ("api.service", "web@1.service", r"a\x2db.service")}
COMMANDS = ("clear-cache", "flush", "x")

_words = st.sampled_from(["-v", "{x}", "a b", "$HOME", "--", "ü", "'", ""])


@st.composite
def commands(draw: st.DrawFn, act_deadline: timedelta) -> dict[str, Any]:
    """A declared command, which ends before the change does."""
    run = [draw(st.sampled_from(["clear", "/usr/bin/clear"])), *draw(st.lists(_words, max_size=3))]
    keys = {
        "cwd": st.sampled_from(["/", "/srv/api"]),
        "environment": st.lists(st.sampled_from(["LANG", "TZ", "HOME_"]), max_size=2, unique=True).map(
            lambda names: Said(names, tuple(names))
        ),
    }
    timeout = draw(spans(timedelta(milliseconds=10), act_deadline))
    return {"run": Said(run, tuple(run)), "timeout": timeout} | some(draw, keys)


class Has(NamedTuple):
    """What every target of the service has: a runbook may ask each of them for it."""

    health: bool = True
    log: bool = True
    releases: bool = True
    commands: tuple[str, ...] = ()


@st.composite
def targets(
    draw: st.DrawFn, host: str, kind: str, has: Has, numbers: Iterator[int], act_deadline: timedelta
) -> dict[str, Any]:
    """One target on this host; every address of it is its own."""
    number = next(numbers)
    name = draw(st.sampled_from(NAMES[kind]))
    address = draw(st.sampled_from([f"unix:///run/s{number}.sock", f"http://127.0.0.1:{9000 + number}"]))
    spellings = [[f"{host}:9100"], [f"alias-{number}", f"{host}.example"]]
    keys: dict[str, Any] = {
        "host": host,
        kind: name,
    }
    if kind == "supervisord":
        signal = draw(st.sampled_from(["HUP", "USR1", "USR2"]))
        keys[kind] = {"program": name, "address": address, "reload": signal}
    if has.health:
        where = draw(st.sampled_from(["http://127.0.0.1:80", "https://[::1]", "http://h.example:8080"]))
        keys["health"] = f"{where}/Health-{number}/?of=it"
    if has.log:
        keys["log"] = f"/var/log/api-{number}"
    if has.releases:
        keys["releases"] = f"/srv/api-{number}"
    if has.commands:
        keys["commands"] = {name: draw(commands(act_deadline)) for name in has.commands}
    return keys | some(draw, {"also": st.sampled_from(spellings).map(lambda names: Said(names, tuple(names)))})


#: How an agent's key is named; `hosts` draws this one.
AGENT_KEY = "SHA256:" + 43 * "a"


@st.composite
def hosts(
    draw: st.DrawFn, remote: Sequence[str], local: Sequence[str] = (), folder: str = "/etc/paramedic"
) -> dict[str, Any]:
    """`hosts`: these by SSH, each perhaps by one before it, and these of this machine. The files of logins are in the folder."""
    listed: dict[str, Any] = {}
    for number, name in enumerate(remote):
        key, certificate = f"{folder}/key-{number}", f"{folder}/key-{number}-cert.pub"
        agents = [Said(True, ""), Said(AGENT_KEY, AGENT_KEY)]
        logins = [{"key": key}, {"key": key, "certificate": certificate}, *({"agent": agent} for agent in agents)]
        address = Said(f"2001:DB8::{number + 1}", f"2001:db8::{number + 1}")
        keys: dict[str, st.SearchStrategy[Any]] = {
            "port": st.sampled_from([22, 2222, 65535]),
            "known_hosts": st.just(f"{folder}/known-{number}"),
            "sudo": st.booleans(),
        }
        if number:
            keys["jump"] = st.sampled_from(list(remote[:number]))
        ssh = {
            "address": draw(st.sampled_from([f"10.1.0.{number}", f"h{number}.example", address])),
            "user": draw(st.sampled_from(["paramedic", "Shop_2$"])),
        }
        spellings = st.lists(st.sampled_from([f"{name}:9100", f"also-{number}"]), unique=True)
        also = some(draw, {"also": spellings.map(lambda names: Said(names, tuple(names)))})
        if number:
            also |= some(draw, {"seen_from": st.just(Said([remote[0]], (remote[0],)))})
        listed[name] = {"ssh": ssh | draw(st.sampled_from(logins)) | some(draw, keys)} | also
    listed |= {name: {"local": True} for name in local}
    return {name: listed[name] for name in draw(st.permutations(list(listed)))}


@st.composite
def services(draw: st.DrawFn, has: Has, act_deadline: timedelta = ACT_DEADLINE) -> dict[str, Any]:
    """services.yaml with one service, whose targets are of one kind and all have what `has` says."""
    kind = draw(st.sampled_from(sorted(NAMES)))
    found = draw(st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True))
    numbers = count(1)
    listed = [draw(targets(host, kind, has, numbers, act_deadline)) for host in found]
    name = draw(st.sampled_from(["shop", "tracking api", "größe"]))
    return some(draw, {"hosts": hosts(("gate", "gate-2"), found)}) | {
        "services": {name: some(draw, {"owner": st.sampled_from(["ada", "the delivery team"])}) | {"targets": listed}}
    }


# --- checks -----------------------------------------------------------------------------------------------------------

_HOST = "{host}"
_PORTS = st.integers(1, 65535)


def _addresses(scheme: str) -> st.SearchStrategy[str]:
    hosts = st.sampled_from([_HOST, "api.example", "127.0.0.1", "[::1]"])
    return st.builds(lambda host, port: f"{scheme}://{host}:{port}", hosts, _PORTS)


#: What an author writes after `check:`, for each form that a shipped probe declares.
SUBJECTS: Mapping[str, st.SearchStrategy[str]] = {
    "health": st.just("health"),
    "process": st.just("process"),
    "host": st.just("host"),
    "heartbeat": st.just("heartbeat"),
    "http://…": _addresses("http").map(lambda address: f"{address}/of/{_HOST}?x=1"),
    "https://…": st.just(f"https://{_HOST}/ready"),
    "tcp://HOST:PORT": _addresses("tcp"),
    "tls://HOST:PORT": _addresses("tls"),
    **{name: st.just(name) for name in ("prometheus", "datadog", "newrelic", "rabbitmq", "redis")},
    "dns://NAME": st.just("dns://api.example"),
    "redis://HOST:PORT": _addresses("redis"),
    "rediss://HOST:PORT": _addresses("rediss"),
}


#: Of these a check that may have it has it.
NEEDED = ("query", "queue")

_VALUES: Mapping[Unit, Callable[[str | None], st.SearchStrategy[Said]]] = {
    Unit.SECONDS: lambda most: spans(timedelta(seconds=2), {"5m": 5 * MINUTE}.get(most or "", 30 * DAY)).map(
        lambda said: said._replace(means=said.means.total_seconds())
    ),
    Unit.PERCENT: lambda _most: percents(10, 1000),
    Unit.BYTES: lambda _most: sizes(1000, 10**12),
    Unit.COUNT: lambda _most: st.integers(1, 10**6).map(lambda number: Said(number, float(number))),
}


@st.composite
def bounds(draw: st.DrawFn, metric: Metric) -> dict[str, Any]:
    """Bounds of the metric: one or both, in the order that it asks for."""
    unit = draw(st.sampled_from(metric.units))
    values = draw(st.lists(_VALUES[unit](metric.at_most), min_size=1, max_size=2, unique_by=lambda said: said.means))
    values.sort(key=lambda said: said.means, reverse=metric.below)
    names = ["warning", "critical"] if len(values) == 2 else [draw(st.sampled_from(["warning", "critical"]))]
    shares = percents(0, 990).map(lambda said: said._replace(means=said.means / 100)) | st.just(0.25)
    return dict(zip(names, values, strict=True)) | some(
        draw, {"for": spans(timedelta(0), 7 * DAY), "hysteresis": shares}
    )


@st.composite
def checks(
    draw: st.DrawFn, number: int, forms: Sequence[str] = tuple(SUBJECTS), *, all_keys: bool = False
) -> dict[str, Any]:
    """One check, with a name of its own."""
    check = draw(SUBJECTS[draw(st.sampled_from(list(forms)))])
    _, probe = probes.measuring(check)
    plain = [metric for metric in probe.METRICS if not metric.burns]  # those of an error budget need an objective
    measured = [metric for metric in plain if all_keys or draw(st.booleans())] or list(probe.METRICS[:1])
    drawn = {metric.name: draw(bounds(metric)) for metric in measured}
    needed = max(
        metric.needs(bound.means)
        for metric in measured
        for key, bound in drawn[metric.name].items()
        if key in ("warning", "critical")
    )
    every = draw(spans(timedelta(milliseconds=200), min(5 * MINUTE, 7 * DAY / needed)))
    keys: dict[str, Any] = {
        "check": check,
        "name": f"c{number}-{draw(st.sampled_from([_HOST, 'x']))}",
        "every": every,
        "timeout": draw(spans(timedelta(milliseconds=10), every.means)),
        "window": draw(spans(needed * every.means, min(7 * DAY, 1900 * every.means))),
        "unknown_after": draw(spans(every.means, 7 * DAY)),
    }
    keys |= drawn
    own = {option.name: OPTIONS[option.name] for option in probes.options(probe)}
    keys |= some(draw, own) | {name: draw(own[name]) for name in own if name in NEEDED}
    while wrong := [key for key, _ in probes.misfits(probe, Written(check, None, keys))]:
        del keys[wrong[0]]
    return keys


# --- the rest of a runbook --------------------------------------------------------------------------------------------


@st.composite
def matchers(draw: st.DrawFn) -> Said:
    """An alert by its name and labels; it means the name and each condition."""
    name = draw(st.sampled_from(["ApiDown", "Api:Slow"]))
    operators = st.sampled_from(["=", "!=", "=~", "!~"])
    labels = draw(st.lists(st.sampled_from(["team", "env", "job"]), max_size=2, unique=True))
    conditions = tuple((label, draw(operators), draw(st.sampled_from(["a", "prod", "a|b"]))) for label in labels)
    inside = ", ".join(f'{label}{operator}"{value}"' for label, operator, value in conditions)
    return Said(f"{name}{{{inside}}}" if conditions else name, (name, conditions))


@st.composite
def templates(draw: st.DrawFn, label: str, value: str, *, literal: bool = True) -> Said:
    """A text that becomes the value by the labels that it means: as it is, a label, or a label with some text before it."""
    at = draw(st.sampled_from([0, 0, 1, 2]))
    if literal and draw(st.booleans()):
        return Said(value, {})
    return Said(f"{value[:at]}{{{label}}}", {label: value[at:]})


def remedies(draw: st.DrawFn, has: Has, kind: str) -> list[Any]:
    """A ladder of what the targets have: in any order, each once."""
    offered: list[Said] = [Said(word, (word, None)) for word in target_kinds.of(kind).REMEDIES]
    if has.releases:
        within = draw(spans(timedelta(seconds=5), 30 * DAY))
        conditional = Said({"rollback-if-deployed-within": within.text}, ("rollback-if-deployed-within", within.means))
        offered.append(draw(st.sampled_from([Said("rollback", ("rollback", None)), conditional])))
    offered += [Said({"run": name}, ("run", name)) for name in has.commands]
    return draw(st.lists(st.sampled_from(offered), min_size=1, max_size=4, unique_by=lambda said: said.means))


ONCALL: dict[str, Any] = {
    "people": {
        "ada": {"name": "Ada", "email": "ada@example.org"},
        "ben": {"name": "Ben", "ways": ["email:ben@example.org"]},
    },
    "rotation": {"zone": "UTC", "starts": "2026-01-05 09:00", "every": "1 week", "people": ["ada"]},
    "policies": {
        "default": {"rungs": [{"tell": "ada"}, {"tell": "ben", "after": "10m"}], "repeat": "30m"},
        "second": {"rungs": [{"tell": "ben"}, {"tell": "ada", "after": "5m"}]},
    },
}
