"""The interface that a kind of probe offers in its one file."""

from typing import Protocol

from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Question, Seen, SeenEach, Written


class ProbeKind(Protocol):
    """A module of `probes`: measures values of one kind, for the checks of runbooks.

    It may have `OPTIONS: tuple[Option, ...]`, keys that only its checks have; `misfits(written) -> Iterable[tuple[key, words]]`,
    what is wrong with them together, each at its key; and `NEEDS: Mapping[str, str]`, the optional parts
    of a target's kind that it looks by, each with the word for what a kind without it lacks; and `LISTED: Mapping[str, str]`, the
    keys of a target in services.yaml that it looks by, each with an example. With `BY_TRANSPORT = True` it looks by
    `question.transport()`: it then has a thread of its own, which is given up at the check's time-out. With `WINDOW`, a
    timedelta, its raw values are those of a window already: so long a one where the author names none.
    """

    #: What an author writes after `check:`, each a word (`host`) or an address (`tcp://HOST:PORT`), known by its scheme.
    CHECK: tuple[str, ...]

    #: What is measured, in one line, for the documentation.
    ABOUT: str

    #: What its checks may give bounds to, in the order of display.
    METRICS: tuple[Metric, ...]

    @staticmethod
    def subject(written: Written) -> str:
        """The subject of the check, for `look`; `{host}` in it becomes the target's host. Raises ValueError on an invalid one."""

    @staticmethod
    def look(question: Question) -> Seen | SeenEach:
        """One measurement, from any thread: every raw value that the metrics are computed from.

        Raises TemporaryError or PermanentError where nothing could be seen; that is not a failure of the target.
        """
