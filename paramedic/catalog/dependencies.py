"""`depends_on` of services.yaml: which services cannot work without which; cycles and unknown names are faults."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from paramedic.remediation.dependency import Needed
from paramedic.remediation.service import ServiceFacts
from paramedic.remediation.target import Target
from paramedic.text.model_words import At
from paramedic.text.nearest import nearest

#: What is wrong with a part of the file: its path, in words, and what is allowed.
Fault = tuple[At, str, str]


def faults(services: Mapping[str, ServiceFacts], written: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with the dependencies. `written`: the names of all services, also of those that cannot be read."""
    for service, facts in services.items():
        for number, needed in enumerate(facts.depends_on):
            at = ("services", service, "depends_on", number)
            if needed == service:
                yield at, "it depends on itself", "name the other services that it needs"
            elif needed not in written:
                others = [name for name in written if name != service]
                yield at, f"there is no service {needed!r:.80}", nearest(needed, others, "there are:")
            elif needed in facts.depends_on[:number]:
                yield at, f"it names {needed!r:.80} twice", "name each service once"
    for cycle in _cycles(services):
        words = " → ".join([*cycle, cycle[0]])
        number = services[cycle[0]].depends_on.index(cycle[1])
        yield ("services", cycle[0], "depends_on", number), f"a cycle: {words}", "take one of them out of `depends_on`"


def needed_by(service: str, services: Mapping[str, ServiceFacts]) -> tuple[str, ...]:
    """Every service that this one depends on, directly or through others; the nearest first."""
    found: dict[str, None] = {}
    waiting = [service]
    while waiting:
        facts = services.get(waiting.pop(0))
        for needed in facts.depends_on if facts is not None else ():
            if needed not in found and needed != service:
                found[needed] = None
                waiting.append(needed)
    return tuple(found)


def needs(services: Mapping[str, ServiceFacts], targets: Iterable[Target]) -> dict[str, tuple[Needed, ...]]:
    """By service what it depends on, with the targets of each; only those that depend on anything."""
    listed: dict[str, set[str]] = {}
    for target in targets:
        listed.setdefault(target.service, set()).add(target.id)
    found = {service: needed_by(service, services) for service in services}
    return {
        service: tuple(Needed(name, frozenset(listed.get(name, ()))) for name in names)
        for service, names in found.items()
        if names
    }


def _cycles(services: Mapping[str, ServiceFacts]) -> Iterator[list[str]]:
    """Each cycle of two services or more, once, from its first service in the order of the file."""
    done: set[str] = set()
    for service in services:
        path: list[str] = []
        stack = [(service, iter(services[service].depends_on))] if service not in done else []
        path += [name for name, _ in stack]
        while stack:
            name, needs = stack[-1]
            needed = next(needs, None)
            if needed is None:
                stack.pop()
                path.pop()
                done.add(name)
            elif needed in path and needed != name:
                cycle = path[path.index(needed) :]
                first = min(range(len(cycle)), key=lambda at: list(services).index(cycle[at]))
                yield cycle[first:] + cycle[:first]
            elif needed in services and needed not in done and needed != name:
                stack.append((needed, iter(services[needed].depends_on)))
                path.append(needed)
