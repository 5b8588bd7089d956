"""More of the demo, by `--with`: stories on what not every machine has; where it is not there, what is missing is said."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from paramedic.demo import containers, in_kubernetes, over_ssh
from paramedic.demo.story import Scenario, Stage


class More(Protocol):
    """One more story, once what it is about runs. A context manager, which ends that."""

    #: What it adds to services.yaml: lines of `hosts`, and whole services.
    hosts: str
    services: str

    #: Its runbooks, by file name.
    runbooks: Mapping[str, str]

    def play(self, stage: Stage) -> Scenario:
        """Break it, and see it healed."""


#: What is missing on this machine, in words, or None; and what starts it, in a folder of its own.
Story = tuple[Callable[[], str | None], Callable[[Path], AbstractContextManager[More]]]

#: By the word of `--with`.
STORIES: Mapping[str, Story] = {
    "ssh": (over_ssh.missing, over_ssh.started),
    "containers": (containers.missing, containers.started),
    "kubernetes": (in_kubernetes.missing, in_kubernetes.started),
}


def wanted(words: str, context: str | None = None) -> dict[str, Story]:
    """The stories of a list such as `ssh,containers`, each once; the one on Kubernetes in the cluster of `context`, where given.

    Raises ValueError, saying what there is.
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if unknown := [name for name in names if name not in STORIES]:
        raise ValueError(f"there is no story {unknown[0]!r:.40}; there are: {', '.join(STORIES)}")
    found = {name: STORIES[name] for name in names}
    if context is not None:
        if "kubernetes" not in found:
            raise ValueError("a context is for the story kubernetes: name it, too")
        found["kubernetes"] = (
            partial(in_kubernetes.missing, context),
            partial(in_kubernetes.started, context=context),
        )
    return found


def possible(stories: Mapping[str, Story]) -> tuple[dict[str, Story], dict[str, str]]:
    """Those that this machine can play, and what is missing for each of the others."""
    why = {name: is_missing() for name, (is_missing, _) in stories.items()}
    here = {name: stories[name] for name in stories if why[name] is None}
    return here, {name: words for name, words in why.items() if words is not None}
