"""More of the demo, by `--with`: stories on what not every machine has; where it is not there, what is missing is said."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from paramedic.demo import containers, over_ssh
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


#: By the word of `--with`: what is missing on this machine, in words, or None; and what starts it, in a folder of its own.
STORIES: Mapping[str, tuple[Callable[[], str | None], Callable[[Path], AbstractContextManager[More]]]] = {
    "ssh": (over_ssh.missing, over_ssh.started),
    "containers": (containers.missing, containers.started),
}


def wanted(words: str) -> list[str]:
    """The stories of a list such as `ssh,containers`, each once. Raises ValueError, saying what there is."""
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if unknown := [name for name in names if name not in STORIES]:
        raise ValueError(f"there is no story {unknown[0]!r:.40}; there are: {', '.join(STORIES)}")
    return names


def possible(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Those that this machine can play, and what is missing for each of the others."""
    why = {name: STORIES[name][0]() for name in names}
    return [name for name in why if why[name] is None], {
        name: words for name, words in why.items() if words is not None
    }
