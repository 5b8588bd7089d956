"""Releases as folders of the target's machine behind a symlink: FOLDER/releases/ID, FOLDER/current and FOLDER/releases.log.

releases.log is one JSON object a line, written by deployments and by roll-backs: the order of its lines is the order of
events. docs/targets.md explains each line, for authors of deploy scripts.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.kinds.transport import Folder, LockedFile, Transport
from paramedic.machine.clock import boottime, iso, spoken, utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line

LOG = "releases.log"
LOG_LIMIT = 4 * 1024 * 1024  # bytes; ten years of ten deployments a day

_ID = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_BESIDE = ".current.paramedic"  # the symlink that becomes `current`; the lock sees to it that there is only one


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)  # deploy scripts may note what they like beside it
    what: Literal["deployed", "healthy", "bad", "rolled-back"]
    release: str = Field(pattern=f"^{_ID}$")
    at: AwareDatetime | None = None
    reversible: bool | None = None
    left: str | None = Field(default=None, pattern=f"^{_ID}$")

    @model_validator(mode="after")
    def _whole(self) -> "_Line":
        if self.what in ("deployed", "rolled-back") and self.at is None:
            raise ValueError("`at` is missing")
        if self.what == "rolled-back" and self.left is None:
            raise ValueError("`left` is missing")
        return self


@dataclass(frozen=True, slots=True)
class _Past:
    """The content of the log: the moves of `current`, oldest first, and every release as of its last line."""

    moves: tuple[str, ...]
    releases: dict[str, Release]
    left: str | None  # the release that the last move left, where it was a roll-back


class Reader:
    """Looks at the releases of one target."""

    def __init__(self, target: Target, transport: Transport) -> None:
        self._target = target
        self._transport = transport

    def current(self) -> Release:
        """The release that `current` points at.

        Raises PermanentError if the folder is not what docs/targets.md says: no folder, no symlink, one that leads elsewhere or
        to nothing, a log that cannot be read. A release without a line in the log is of unknown health.
        """
        with _opened(self._target, self._transport) as folder:
            return _current(self._target, folder, _past(self._target, folder))

    def before(self) -> Release:
        """The last release that was seen healthy before the current one. Raises Refused, or PermanentError as `current` does."""
        with _opened(self._target, self._transport) as folder:
            past = _past(self._target, folder)
            return _before(self._target, folder, past, _current(self._target, folder, past))

    def all(self) -> list[Release]:
        """Every release in the folder, the last deployed first, those without a deployment in the log last."""
        with _opened(self._target, self._transport) as folder:
            past = _past(self._target, folder)
            names = [name for name in _names(self._target, folder) if re.fullmatch(_ID, name)]
            known = [past.releases.get(name, _unknown(name)) for name in names if _lies(folder, name) is None]
        return sorted(
            known,
            key=lambda release: (release.deployed_at.timestamp() if release.deployed_at else 0, release.id),
            reverse=True,
        )

    def obstacles(self) -> list[str]:
        """What would keep a roll-back from being carried out now, each in words with what to do about it.

        Nothing is written. The log's lock is taken for a moment where nobody holds it. Raises PermanentError as `current` does.
        """
        target = self._target
        with _opened(target, self._transport) as folder:
            try:
                found = [folder.unreplaceable("current"), folder.unwritable(LOG)]
                if not any(found):
                    found.append(_held(target, folder))
            except OSError as error:
                found = [f"{target.releases}/{LOG} cannot be looked at: {error.strerror}"]
        return [why for why in found if why is not None]


class Changer:
    """Moves `current` back."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target = target
        self._transport = transport
        self._total = total_timeout

    def roll_back(self, expected: str, last_look: Callable[[], None], *, approved: bool) -> str:
        """Go back from the release `expected` to the last healthy one before it, and say which that is.

        `last_look` is called once everything is ready, and its exception stops the roll-back; after it `current` is read
        once more, and only the log's line and one rename follow. The service itself is not restarted.

        Refused: nothing was changed, because another release is current, a deployment holds the log's lock, the log does
        not know how the current release came, it came by a roll-back, no healthy release precedes it, or a release in
        between may not be crossed. One without a mark needs `approved`: a person's word for this very roll-back.
        TemporaryError and PermanentError: nothing was changed either. OutcomeUnknown: it was, and is perhaps not on the disk yet.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        with _opened(target, self._transport) as folder, _locked(target, folder) as log:
            past = _past(target, folder)
            now = _current(target, folder, past)
            if now.id != expected:
                raise Refused(f"{target.id} runs release {now.id} now, and {expected} was judged")
            before = _judged(target, folder, past, now, approved=approved)
            self._go(folder, log, now.id, before.id, last_look, deadline)
            return before.id

    def undo(self, expected: str, last_look: Callable[[], None]) -> str:
        """Go forward again from `expected`, which the last roll-back made current, to the release that it left; say which.

        As `roll_back` otherwise. Refused: another release is current, or the last line about a move is of no roll-back to it.
        """
        target, deadline = self._target, boottime() + self._total.total_seconds()
        with _opened(target, self._transport) as folder, _locked(target, folder) as log:
            past = _past(target, folder)
            now = _link(target, folder)
            if now != expected or past.left is None or past.moves[-1] != expected:
                raise Refused(f"{target.id} runs release {now} now, and {LOG} tells last of no roll-back to {expected}")
            if (why := _lies(folder, past.left)) is not None:
                raise Refused(f"the release {past.left} of {target.id}, which was left, {why or 'is gone'}")
            self._go(folder, log, expected, past.left, last_look, deadline)
            return past.left

    def _go(  # noqa: PLR0917 - from where to where, and until when
        self, folder: Folder, log: LockedFile, left: str, to: str, last_look: Callable[[], None], deadline: float
    ) -> None:
        target = self._target
        line = {"what": "rolled-back", "release": to, "left": left, "at": iso(utc_now()), "by": "paramedic"}
        with _beside(target, folder, f"releases/{to}"):
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for rolling {target.id} back were over before it began")
            if (found := _link(target, folder)) != left:
                raise Refused(f"somebody else has just made {found} the current release of {target.id}")
            _move(target, folder, log, line)


def _move(target: Target, folder: Folder, log: LockedFile, line: dict[str, str]) -> None:
    """Write the line, then rename: without the rename, log and `current` disagree, and no roll-back is automatic."""
    try:
        log.append(json.dumps(line).encode() + b"\n")
        try:
            folder.rename(_BESIDE, "current")
        except OSError:
            log.take_back()
            raise
    except PermissionError as error:
        raise PermanentError(f"this user may not replace {target.releases}/current: {error.strerror}") from error
    except OSError as error:
        raise TemporaryError(f"{target.id} could not be rolled back: {error.strerror}") from error
    kill_point("act_sent", target.id)
    try:
        log.sync()
        folder.sync()
    except OSError as error:
        raise OutcomeUnknown(f"{target.id} was rolled back, and the disk does not confirm it: {error}") from error


def _judged(target: Target, folder: Folder, past: _Past, now: Release, *, approved: bool) -> Release:
    """The release to go back to. Raises Refused."""
    by_hand = f"look at {target.releases}/{LOG}, then move `current` by hand and say so there"
    if not past.moves or past.moves[-1] != now.id:
        last = past.moves[-1] if past.moves else "nothing"
        raise Refused(
            f"{now.id} is the current release of {target.id}, and {LOG} tells last of {last}: "
            "a deployment is at work, or one was not written down",
            by_hand=by_hand,
        )
    if now.rolled_back_to:
        raise Refused(f"{target.id} was rolled back to {now.id}: a roll-back is never rolled back", by_hand=by_hand)
    before = _before(target, folder, past, now)
    crossed = [past.releases[release] for release in dict.fromkeys(reversed(past.moves[_last(past, before.id) + 1 :]))]
    if marked := [release.id for release in crossed if release.reversible is False]:
        raise Refused(f"going back to {before.id} crosses {', '.join(marked)}, marked irreversible", by_hand=by_hand)
    if not approved and (unmarked := [release.id for release in crossed if release.reversible is None]):
        raise Refused(
            f"going back to {before.id} crosses {', '.join(unmarked)}, and nobody said whether that is reversible",
            by_hand=f'approve this roll-back, or mark what can be undone: `"reversible":true` in {LOG}',
        )
    return before


def _before(target: Target, folder: Folder, past: _Past, now: Release) -> Release:
    """Raises Refused if no healthy release precedes it, or the one that does is not a plain folder of `releases`."""
    until = _last(past, now.id) if now.id in past.moves else len(past.moves)
    for name in dict.fromkeys(reversed(past.moves[:until])):
        if name == now.id or not past.releases[name].healthy:
            continue
        why = _lies(folder, name)
        if why is None:
            return past.releases[name]
        if why:
            raise Refused(f"the release {name} of {target.id} {why}", by_hand="look who put it there")
    raise Refused(
        f"no release of {target.id} before {now.id} is marked healthy and still lies there",
        by_hand=f"deploy one that works; a line `healthy` in {target.releases}/{LOG} marks it",
    )


def _last(past: _Past, name: str) -> int:
    return len(past.moves) - 1 - past.moves[::-1].index(name)


def _past(target: Target, folder: Folder) -> _Past:
    """What the log tells of each release, and in which order they were current. Raises PermanentError at a bad line."""
    moves: list[str] = []
    left: str | None = None
    releases: dict[str, Release] = {}
    for number, text in enumerate(_lines(target, folder), 1):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise PermanentError(
                f"{target.releases}/{LOG}:{number}: {where or 'the line'}: {first['msg']}; write "
                '{"what":"deployed|healthy|bad","release":"ID","at":"2026-01-31T09:30:00Z"}'
            ) from error
        release = releases.get(line.release, _unknown(line.release))
        match line.what:
            case "deployed":
                moves.append(release.id)
                left = None
                # Deployed again it is judged again; a mark that a later deployment does not repeat is not for ever.
                release = Release(release.id, line.at, line.reversible, healthy=None)
            case "rolled-back":
                moves.append(release.id)
                release = replace(release, deployed_at=line.at, rolled_back_to=True)
                left = line.left or ""
                releases[left] = replace(releases.get(left, _unknown(left)), healthy=False)
            case "healthy" | "bad":
                release = replace(release, healthy=line.what == "healthy")
        releases[release.id] = release
    return _Past(tuple(moves), releases, left)


def _unknown(name: str) -> Release:
    return Release(name, deployed_at=None, reversible=None, healthy=None)


def _lines(target: Target, folder: Folder) -> list[bytes]:
    try:
        text = folder.read(LOG, LOG_LIMIT)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PermanentError(f"{target.releases}/{LOG} cannot be read: {error.strerror}") from error
    if text is None:
        raise PermanentError(f"{target.releases}/{LOG} is not a regular file of at most {LOG_LIMIT:,} B")
    return [line for line in text.split(b"\n") if line.strip()]


def _current(target: Target, folder: Folder, past: _Past) -> Release:
    """The release that `current` points at; without a line about it, as old as the symlink."""
    name = _link(target, folder)
    if (why := _lies(folder, name)) is not None:
        raise PermanentError(f"`current` of {target.id} points at {name}, which {why or 'is not there'}")
    release = past.releases.get(name, _unknown(name))
    if not past.moves or past.moves[-1] != name:  # somebody moved it and wrote nothing: when, its symlink tells
        return replace(release, deployed_at=folder.changed_at("current"), rolled_back_to=False)
    return release


def _link(target: Target, folder: Folder) -> str:
    """The release that `current` leads to, however its path is written. Raises PermanentError where it is none of `releases`."""
    try:
        name, leads = folder.entry("current", "releases"), ""
        if name is None:  # a folder of `releases` that is not there or not plain is named
            leads = folder.link("current")
            named = re.fullmatch(f"(?:.*/)?releases/+({_ID})/*", leads)
            name = named[1] if named and _lies(folder, named[1]) is not None else None
    except FileNotFoundError as error:
        raise PermanentError(f"{target.releases} has no `current`") from error
    except OSError as error:
        raise PermanentError(f"{target.releases}/current is not a symlink: {error.strerror}") from error
    if name is None or not re.fullmatch(_ID, name):
        leads = leads or folder.link("current")
        raise PermanentError(f"{target.releases}/current leads to {one_line(leads)!r:.200}, and not to releases/ID")
    return name


def _lies(folder: Folder, name: str) -> str | None:
    """What is wrong with the release's folder: "" if it is not there, None if it is one."""
    for path in ("releases", f"releases/{name}"):
        kind = folder.kind(path)
        if kind is None:
            return ""
        if kind != "folder":
            return f"is not a plain folder: {path} is a {kind}"
    return None


def _names(target: Target, folder: Folder) -> list[str]:
    try:
        return folder.names("releases")
    except OSError as error:
        raise PermanentError(f"{target.releases}/releases cannot be read: {error.strerror}") from error


@contextmanager
def _opened(target: Target, transport: Transport) -> Iterator[Folder]:
    """The folder, held: what its path leads to later does not matter."""
    with contextlib.ExitStack() as held:
        try:
            folder = held.enter_context(transport.folder(target.releases or ""))
        except OSError as error:
            raise PermanentError(f"the release folder {target.releases} of {target.id}: {error.strerror}") from error
        yield folder


@contextmanager
def _locked(target: Target, folder: Folder) -> Iterator[LockedFile]:
    """The log, open to append and locked as `flock` does. Raises Refused if a deployment has it."""
    with contextlib.ExitStack() as held:
        try:
            log = held.enter_context(folder.locked(LOG))
        except FileNotFoundError as error:
            raise Refused(f"{target.releases} has no {LOG}: nothing tells what there is to go back to") from error
        except BlockingIOError as error:
            raise Refused(f"somebody holds the lock of {target.releases}/{LOG}: a deployment is at work") from error
        except OSError as error:
            raise PermanentError(f"{target.releases}/{LOG} cannot be written: {error.strerror}") from error
        yield log


def _held(target: Target, folder: Folder) -> str | None:
    """Who holds the log's lock, and what to do about it; None where nobody does."""
    try:
        with folder.locked(LOG):
            return None
    except BlockingIOError:
        who = folder.holder(LOG) or "a process of another container or machine"
        return (
            f"{who} holds the lock of {target.releases}/{LOG}, and nothing is rolled back until it lets go: "
            "a deployment is at work, or it hangs: end it then"
        )


@contextmanager
def _beside(target: Target, folder: Folder, leads: str) -> Iterator[None]:
    """The new symlink, beside `current`: gone again if it does not take its place."""
    _gone(folder)  # what a roll-back that was killed left
    try:
        folder.symlink(leads, _BESIDE)
    except PermissionError as error:
        raise PermanentError(f"this user may not write in {target.releases}") from error
    except OSError as error:
        raise TemporaryError(f"{target.releases} takes no new symlink: {error.strerror}") from error
    try:
        yield
    finally:
        _gone(folder)


def _gone(folder: Folder) -> None:
    with contextlib.suppress(OSError):
        folder.unlink(_BESIDE)
