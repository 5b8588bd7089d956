"""The interfaces that each kind of plug-in offers in its one file.

A channel's and a probe's are in modules of their own: whoever names a way to a person, or a check, loads nothing of targets.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from paramedic.alerts.reading import Reading
from paramedic.kinds.channel_face import Able, ChannelKind, ChannelTeller
from paramedic.kinds.probe_face import ProbeKind
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Identity, Target

if TYPE_CHECKING:
    from paramedic.kinds.evidence import Gathered

__all__ = [
    "Able",
    "Authentic",
    "ChannelKind",
    "ChannelTeller",
    "ProbeKind",
    "Source",
    "TargetChanger",
    "TargetKind",
    "TargetReader",
]


class Source(Protocol):
    """A module of `sources`: reads what one kind of sender posts to `/alerts/NAME`.

    It may have `authentic(headers, body, credential) -> bool` where its vendor signs what it sends and names no token: who
    has posted is then the sender of `gateway_tokens` whose token makes it return True. It compares in constant time.

    `CREDENTIALS` names the setting with what its senders are known by, where that is no token. It may have
    `confirm(body, credentials) -> str | None`, which does what a vendor asks for before it sends anything, for one of these
    credentials alone, and says what came of it: the gateway calls it in a thread once such a body is kept, as an aside.

    It may have `TEMPLATE: str`, the body to paste where its vendor sends what a template says, and `SEVERITIES`, the vendor's
    words and what each means (critical, warning, info), for docs/sources.md; where a word has another meaning than in the
    table of severities (`paramedic.alerts.severity_words`), `read` gives the label `severity` ours.
    """

    #: What a body is, in one line, for the gateway's OpenAPI document.
    BODY: str

    #: An example of a body as the vendor writes it, or as the template makes it.
    EXAMPLE: str

    @staticmethod
    def read(headers: Mapping[str, str], body: bytes) -> Reading:
        """The alerts of the body; `headers` by lower-case name. Raises BadPayload if it is not one of the vendor's."""


class TargetReader(Protocol):
    """Looks at one target in the system that owns it."""

    def identity(self) -> Identity:
        """Which instance of the target there is. Raises TemporaryError or PermanentError."""


class TargetChanger(Protocol):
    """Changes one target through the system that owns it.

    It has a method for each of its kind's REMEDIES, with the parameters, the result and the errors of `restart`; of one in ASKED
    a `paramedic.kinds.asked.Asked` is the third. It may have `did: str`: what came of a remedy other than `restart`, in its own
    words and with nothing secret: the trail has it; and `output: str`, text from outside, which the incident keeps as evidence.
    It may have `alerts: Sequence[Alert]`, which is given the incident's firing alerts before a remedy of the kind's
    own: data, which may choose among what the target itself has, and nothing else.

    For each of its kind's UNDOES it has a method `undo_NAME`, with the parameters, the result and the errors of `restart`, which
    takes back what that remedy changed last, and is refused where somebody has changed it since.
    """

    def restart(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Restart the instance `expected` once, and say which instance there is now.

        `last_look` is the last thing called before the first byte leaves; its exception stops the restart. Refused and
        TemporaryError: nothing was sent. PermanentError: it failed, as the message says. OutcomeUnknown: it was sent, and its
        outcome is open.
        """


class TargetKind(Protocol):
    """A module of `targets`: looks at one kind of target, and changes it. Its name is the key in services.yaml and runbooks.

    The id of a target is HOST/KIND:NAME, so that targets of two kinds on one host may have one name.

    Whatever it asks of the target's machine (a program, a connection, a file, a process) it asks through the transport that
    it is handed; it opens nothing on its own.

    It may have `is_remote(words) -> bool`: whether the target's owner is on another machine than the transport leads to, where
    neither `releases` nor `commands` reach it. It may have `resident_memory(target, identity, transport) -> int` (bytes, for
    `verify: {memory_below: …}`) and `process_use(target, identity, transport)` (for `check: process`) where a target is a
    process, `process_id(target, identity, transport) -> int` for evidence of it (`paramedic.kinds.process_target` has all
    three), and `log_lines(target, transport, lines, since, deadline) -> str | Gathered`, as `Scene.log_lines` in
    `paramedic.kinds.evidence`, where its owner keeps a log; `changes(target, transport, since, deadline) -> Changes`
    (`paramedic.kinds.changes`), what was done to it since a moment, by what its owner keeps, for the evidence `recent-changes`.
    They raise TemporaryError or PermanentError. It may have `sessions(target, transport) -> Seen` (raw value `idle_for`,
    seconds, for `check: sessions`) and `free_space(target, transport) -> Seen` (raw value `free`, percent, for `check:
    free_space`), likewise; `readiness(target, transport) -> Seen` (raw values `is_down` and `unready`, for `check: ready`),
    likewise, where its owner knows more than `running` says; `forbidden(target, transport, remedy) -> str | None`, which asks
    the owner, without doing anything, whether this user may do that remedy of the kind's: why not, and what grants it
    (`paramedic doctor` asks it); `foreseen(target, transport, remedy, alerts) -> str`, what that remedy would touch now, in
    words (its first line says most), for who is asked to approve it: Refused where it would be refused; `time_for(target,
    remedy) -> timedelta`, where a remedy of its own takes longer than other changes may; and `ASKED: Mapping[str,
    type[BaseModel]]`, for remedies that a runbook writes `NAME: {…}`: the frozen model of that.

    `IS_A_PROGRAM = True` says that a target is one program, as one with `process_id` is: while its host is not reached, an answer
    of its health address counts as its own (docs/hosts.md).

    `REACHED_BY = "kubernetes"` says that its targets are workloads of a cluster, on hosts with `kubernetes: {…}`; lint refuses
    them elsewhere, and kinds without it there. Its transport leads to the API server (`paramedic.kinds.cluster`).

    It may have `needs(words, remedy) -> str | None`: the key in services.yaml that a remedy of the kind's own needs and these
    words lack, with an example (`scale: {min: 2, max: 8, by: 2}`), which lint asks; and `UNDOES`, a tuple of those of its
    REMEDIES that can be undone where they made it worse; and `RENEWS`, a tuple of those after which `restarted` is true: one that
    says it succeeded and leaves the same instance has failed. Without it these are `restart` and `stop_and_start`.

    It may have `owner_clock(target, transport) -> datetime | None`: the moment by the clock that dates its releases, where that
    is another than that of the machine that the transport leads to; whole seconds will do. A roll-back on cause asks it.

    Where its owner keeps releases, it has `Releases(target, transport)` as `paramedic.doors` declares it, and its
    Changer has its `roll_back`, which replaces what runs, and maybe `undo`. `RELEASES_ARE_NOTED = True` asks for `Target.noted`,
    and `noted_as(identity) -> tuple[str, bool]` says by what its release is noted, where that is not `Identity.revision`, and
    whether its owner shows that it is well.
    A Changer with `incident` (UUID/INC-42) and `act` is given both before a roll-back, and may tell of it in `did`. Then there is
    `merged_by_people(target) -> bool`, and `mark(target, transport, act) -> Mark | None`: what is known of an open act
    but a `run`, with a `code` only where that proves that the target was changed.

    Where its targets have parts that are targets too, it has `covers(whole, part) -> bool`: whether the second target, of
    whichever kind, is a part of the first. A claim or an open act on either keeps the other from being changed. Pure: it
    compares what services.yaml says.
    """

    #: The pydantic type of its key's value in services.yaml.
    Words: Any

    #: The label by which a check's alert names the target.
    LABEL: str

    #: What a runbook may ask to see before a change, each looked at by its function: TemporaryError or PermanentError
    #: say why it cannot be had. Of a text that is too long its end is kept; its beginning where the function is a
    #: FromBeginning. A text alone says that all was seen: a look that may miss something returns a Gathered, and one that
    #: takes more than one question is a ByDeadline (both in `paramedic.kinds.evidence`). The tail of the target's `log` is
    #: offered for every kind, and is not declared here.
    EVIDENCE: Mapping[str, Callable[[Target, Transport], "str | Gathered"]]

    #: What its Changer can do, by its methods' names, which are the words of `with.remedies`: `restart`, `reload`, …; or nothing.
    REMEDIES: Collection[str]

    @staticmethod
    def name_of(words: Any) -> str:
        """The target's name beside its host: 1 to 200 characters."""

    @staticmethod
    def address_of(words: Any) -> str:
        """The address of the target's supervisor; "" where its name is enough."""

    @staticmethod
    def running(identity: Identity) -> bool:
        """Whether its owner says that the target is up: no proof that it is well."""

    @staticmethod
    def restarted(before: Identity, now: Identity) -> bool:
        """Whether another instance of the target runs now than before; False where none runs now."""

    @staticmethod
    def Reader(target: Target, transport: Transport) -> TargetReader:  # noqa: N802 - a class of the module
        """The reader of this target."""

    @staticmethod
    def Changer(target: Target, transport: Transport, total_timeout: timedelta) -> TargetChanger:  # noqa: N802 - as above
        """The changer of this target; no call takes longer than `total_timeout`."""


Authentic = Callable[[Mapping[str, str], bytes, str], bool]
