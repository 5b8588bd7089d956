"""The login of a kubeconfig's credential plug-in (`users[].user.exec`): a program that prints a token or a certificate.

Kubernetes documentation: "Client authentication (v1)" and "(v1beta1)", "Authenticating: client-go credential plugins". As
kubectl, one run serves until its credential ends or the API server answers 401; unlike there, it is bounded in time and size,
is never asked by two at once, and gets nothing of Paramedic's own settings.
"""

import base64
import json
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.transport import MOST_KEPT, Ended, OutOfTime
from paramedic.machine import file_ownership
from paramedic.machine.clock import boottime, utc_now
from paramedic.text.redaction import redact, remember
from paramedic.text.sanitize import one_line
from paramedic.transports.local_command import LocalCommand

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

#: So long one run of the plug-in may take, whoever waits for it. Seconds.
LONGEST = 30.0

#: A login that ends sooner than this is asked for anew by the looks before a change, so that a change does not wait for one.
_MARGIN = timedelta(seconds=60)

#: A run that failed is not repeated, and a login that was just given is not thrown away for a 401, before so long. Seconds.
_REST = 10.0

#: What is Paramedic's own: the plug-in is a program of somebody else's.
_OURS = ("PARAMEDIC_", "PREFECT_")


class _Variable(BaseModel):
    name: str
    value: str = ""


class Exec(BaseModel):
    """`users[].user.exec`."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    command: str = Field(min_length=1)
    args: list[str] | None = None
    env: list[_Variable] | None = None
    version: str = Field(alias="apiVersion")
    interactive: Literal["Never", "IfAvailable", "Always"] | None = Field(default=None, alias="interactiveMode")
    hint: str = Field(default="", alias="installHint")
    with_cluster: bool = Field(default=False, alias="provideClusterInfo")


class _Status(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    token: str | None = Field(default=None, repr=False)
    certificate: str | None = Field(default=None, alias="clientCertificateData")
    key: str | None = Field(default=None, alias="clientKeyData", repr=False)
    expires: datetime | None = Field(default=None, alias="expirationTimestamp")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    kind: Literal["ExecCredential"]
    version: str = Field(alias="apiVersion")
    status: _Status


@dataclass(frozen=True, slots=True)
class Credential:
    """What a run of the plug-in gave: a token, a client certificate with its key in PEM, or both."""

    token: str | None = field(repr=False)
    pair: bytes | None = field(repr=False)
    expires: datetime | None = None
    given_at: datetime = field(default_factory=utc_now)
    given: float = field(default_factory=boottime)

    def ends_within(self, margin: timedelta) -> bool:
        """Whether it has ended by then; the margin is never more than a quarter of the time for which it was given."""
        if self.expires is None:
            return False
        return utc_now() >= self.expires - min(margin, max((self.expires - self.given_at) / 4, timedelta(0)))


class _Run:
    """One run, which may be waited for by several."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.found: Credential | None = None
        self.error: TemporaryError | PermanentError | None = None
        self.ended = 0.0


class Plugin:
    """The plug-in of one user of one kubeconfig, in this process. All methods may be called from any thread."""

    def __init__(self, words: Exec, file: Path, cluster: Mapping[str, Any]) -> None:
        """`cluster`: what `provideClusterInfo` tells. Raises PermanentError where the file may not name this program."""
        _must_be_possible(words, file)
        self._words, self._file, self._cluster = words, file, cluster
        self._lock = threading.Lock()
        self._kept: Credential | None = None
        self._run: _Run | None = None

    @property
    def name(self) -> str:
        """Its command, to be shown."""
        return one_line(self._words.command)[:200]

    def credential(self, deadline: float, *, early: bool) -> Credential:
        """The login, from the last run or a new one, by `deadline` (of `boottime`); `early`: one that ends soon is not enough.

        Raises TemporaryError or PermanentError where there is none: what the plug-in said of it, without what is secret.
        """
        with self._lock:
            kept = self._kept
            if kept is not None and not kept.ends_within(_MARGIN if early else timedelta(0)):
                return kept
            run = self._begun()
        run.over.wait(max(deadline - boottime(), 0))
        if run.found is not None:
            return run.found
        if kept is not None and not kept.ends_within(timedelta(0)):
            return kept  # what is to be renewed is good for a while still
        if run.error is None:
            raise TemporaryError(f"the credential plug-in {self.name} of {self._file} has not answered yet")
        raise type(run.error)(str(run.error)) from run.error

    def refused(self, credential: Credential) -> bool:
        """The API server does not know it (401): whether another is asked for from now on."""
        with self._lock:
            if self._kept is credential and boottime() - credential.given >= _REST:
                self._kept = None
            return self._kept is not credential

    def _begun(self) -> _Run:
        """The run that goes on, that has just failed, or a new one. Call it under the lock."""
        last = self._run
        if last is not None and (
            not last.over.is_set() or (last.error is not None and boottime() - last.ended < _REST)
        ):
            return last
        self._run = run = _Run()
        # Of its own: who waits may have less time than a slow plug-in needs, and the next one finds its answer.
        threading.Thread(target=self._carry_out, args=(run,), name="credential plug-in", daemon=True).start()
        return run

    def _carry_out(self, run: _Run) -> None:
        try:
            run.found = self._asked()
        except (TemporaryError, PermanentError) as error:
            run.error = error
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever waits is told
            run.error = TemporaryError(f"{self._told()} could not be asked: {type(error).__name__}")
        with self._lock:
            self._kept = run.found or self._kept
            run.ended = boottime()
            run.over.set()

    def _asked(self) -> Credential:
        guard = ("timeout", "--signal=KILL", str(LONGEST + 5))  # where this process ends before it
        arguments = (*guard, self._program(), *(self._words.args or ()))
        with LocalCommand(arguments, environment=self._environment(), kept=MOST_KEPT) as program:
            program.start()
            try:
                ended = program.end(boottime() + LONGEST)
            except OutOfTime as error:
                raise TemporaryError(f"{self._told()} gave no answer within {LONGEST:.0f} s") from error
        if ended.code != 0:
            raise TemporaryError(f"{self._told()} failed (exit code {ended.code}): {_said(ended)}{self._hint(ended)}")
        return self._read(ended)

    def _told(self) -> str:
        return f"the credential plug-in {self.name} of {self._file}"

    def _program(self) -> str:
        """Where it is: a path is relative to the kubeconfig's folder, a bare name of the PATH. Raises PermanentError."""
        command = self._words.command
        path = str(self._file.parent / command) if "/" in command else command
        found = shutil.which(path, path=os.environ.get("PATH", os.defpath))
        if found is None:
            hint = f": {one_line(self._words.hint)[:300]}" if self._words.hint.strip() else ""
            raise PermanentError(f"{self._told()} is not on this machine, or may not be run{hint}")
        return found

    def _hint(self, ended: Ended) -> str:
        """The author's hint where a wrapper says that its program is not there."""
        return f"; {one_line(self._words.hint)[:300]}" if ended.code == 127 and self._words.hint.strip() else ""

    def _environment(self) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": False}
        if self._words.with_cluster:
            spec["cluster"] = dict(self._cluster)
        info = {"kind": "ExecCredential", "apiVersion": self._words.version, "spec": spec}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        own = {variable.name: variable.value for variable in self._words.env or ()}
        return inherited | own | {"KUBERNETES_EXEC_INFO": json.dumps(info)}

    def _read(self, ended: Ended) -> Credential:
        """What it printed. Never a part of that is in a message: it is a secret."""
        try:
            answer = _Answer.model_validate_json(ended.output)
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
            where = ".".join(map(str, first["loc"])) or "its output"
            raise PermanentError(f"{self._told()} printed no ExecCredential: {where}: {first['type']}") from None
        status = answer.status
        if answer.version != self._words.version:
            raise PermanentError(
                f"{self._told()} was asked for {self._words.version}, and printed {one_line(answer.version)[:100]!r}: bring the "
                "kubeconfig or the plug-in up to date"
            )
        if bool(status.certificate) != bool(status.key):
            raise PermanentError(f"{self._told()} printed a client certificate without its key, or a key without one")
        if not status.token and not status.certificate:
            raise PermanentError(f"{self._told()} printed neither a token nor a client certificate")
        for secret in (status.token, status.key):
            remember(secret or "")
        pair = f"{status.certificate}\n{status.key}".encode() if status.certificate else None
        expires = status.expires
        if expires is not None:  # RFC 3339 names a zone always
            expires = expires.replace(tzinfo=UTC) if expires.tzinfo is None else expires
        return Credential(status.token or None, pair, expires)


def cluster_words(server: str, tls_name: str | None, authority: bytes | None, config: Any) -> dict[str, Any]:
    """What `provideClusterInfo` tells of the cluster; `config`: its extension `client.authentication.k8s.io/exec`."""
    words: dict[str, Any] = {"server": server}
    if tls_name is not None:
        words["tls-server-name"] = tls_name
    if authority is not None:
        words["certificate-authority-data"] = base64.b64encode(authority).decode()
    if config is not None:
        words["config"] = config
    return words


def _must_be_possible(words: Exec, file: Path) -> None:
    """Raises PermanentError, in words."""
    if words.version not in VERSIONS:
        raise PermanentError(
            f"{file}: `exec` is of {one_line(words.version)!r:.100}, and can be of {' or '.join(VERSIONS)}: bring the kubeconfig "
            "and its plug-in up to date"
        )
    if words.interactive is None and words.version == VERSIONS[0]:
        raise PermanentError(f"{file}: `exec` of {VERSIONS[0]} needs `interactiveMode`: Never or IfAvailable")
    if words.interactive == "Always":
        raise PermanentError(
            f"{file}: the plug-in {one_line(words.command)!r:.100} asks a person at a terminal (`interactiveMode: Always`), and "
            "nobody is there: give Paramedic a login of its own"
        )
    if (why := file_ownership.complaint(file)) is not None:  # whoever writes it says what is run here
        raise PermanentError(f"{file} names a program to run: {why}")


def _said(ended: Ended) -> str:
    """The end of its errors, for people; its output never: it may be a token."""
    return redact(one_line(ended.errors)[-300:]) or "it said nothing"
