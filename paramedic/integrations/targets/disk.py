"""Disks, by the mount point of their file system: how full one is, and old files of it that services.yaml names deleted."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import inf
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from paramedic.alerts.alert import Alert
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TargetChanged, TemporaryError
from paramedic.kinds.disk_files import Disk, Entry, File, Held, Space, deletion, is_in, sudoers, words
from paramedic.kinds.disk_listing import Listing, account, blind, free_words, listed, to_be_deleted, why_none
from paramedic.kinds.evidence import ByDeadline, Gathered, megabytes
from paramedic.kinds.probing import Seen
from paramedic.kinds.transport import GUARD, Ended, OutOfTime, Transport
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity, Target
from paramedic.text.quantity import PERCENT, percent
from paramedic.text.units import duration

LABEL = "mountpoint"
REMEDIES = ("free_disk",)

UP = "up"

#: A look at the file system takes so long at most.
LOOK = timedelta(seconds=10)

#: A file system may count what it has freed a little later: it is asked again for so long, so often.
SETTLES_SECONDS = 2.0
AGAIN_SECONDS = 0.1

#: Nothing in these is anybody's to delete by age: the system, what it keeps of itself, what is no disk.
_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/lib/dpkg", "/var/lib/rpm", "/var/lib/apt"),
)


def _path(path: str) -> str:
    parts = path.split("/")[1:]
    if path != "/" and any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path!r:.200} is not written as it is: no `.`, `..`, `//` or `/` at its end")
    return path


def _of_nobodys_system(path: str) -> str:
    if path == "/" or any(is_in(path, system) for system in _SYSTEM):
        raise ValueError(f"nothing in {path} is deleted: it is the system's own")
    return path


def _pattern(name: str) -> str:
    literal = re.sub(r"\[[^\]]*\]|[*?]", "", name)
    if len(literal) < 2 or not re.search(r"[A-Za-z0-9]", literal):
        raise ValueError(
            f"{name!r:.80} fits almost every file: write what the old ones are called, `*.gz`, `app.log.*`"
        )
    return name


def _share(written: Any) -> Any:
    return percent(written) if isinstance(written, str) else written


#: What a sudoers line can show as it is.
_Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._+@%/-]{0,200}$"), AfterValidator(_path)]
_Names = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+@%*?\[][A-Za-z0-9._+@%*?\[\]-]{0,99}$"), AfterValidator(_pattern)]


class _Clean(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    path: Annotated[_Path, AfterValidator(_of_nobodys_system)] = Field(
        description="a folder, by its real path: /var/log/shop"
    )
    names: list[_Names] = Field(
        min_length=1, max_length=20, description='which of its files, by the pattern of their names: ["*.gz"]'
    )
    older_than: Annotated[timedelta, duration("10m", "3650d")] = Field(
        description="only those that nothing was written to for so long: 1d"
    )
    depth: int = Field(
        default=1, ge=1, le=5, description="so many levels of folders; 1: the files of the folder itself"
    )

    @property
    def entry(self) -> Entry:
        return Entry(self.path, tuple(self.names), self.older_than, self.depth)


class Words(BaseModel):
    """`disk: {mount: /var, clean: [{path: /var/log/shop, names: ["*.gz"], older_than: 1d}]}` in services.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    mount: _Path = Field(description="where the file system is mounted, as alerts call it: /var")
    free: Annotated[float, BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=PERCENT)])] = (
        Field(default=10.0, gt=0, lt=100, description="so much of it has to be free: 10%")
    )
    clean: list[_Clean] = Field(default=[], max_length=20, description="what may be deleted there, and nothing else")
    at_most: int = Field(default=500, ge=1, le=1000, description="so many files are deleted by one act: 500")

    @model_validator(mode="after")
    def _there(self) -> Self:
        for clean in self.clean:
            if not is_in(clean.path, self.mount):
                raise ValueError(f"{clean.path} is not in {self.mount}")
        paths = [clean.path for clean in self.clean]
        for path in paths:
            if paths.count(path) > 1 or any(other != path and is_in(path, other) for other in paths):
                raise ValueError(f"{path} is named twice: write the patterns of a folder together")
        return self

    @property
    def entries(self) -> list[Entry]:
        """The folders, and which of their files."""
        return [clean.entry for clean in self.clean]


def name_of(asked: Words) -> str:
    """The mount point."""
    return asked.mount


def address_of(_words: Words) -> str:
    """Nothing: it is found by its mount point."""
    return ""


def running(identity: Identity) -> bool:
    """Whether as much of it is free as services.yaml asks."""
    return identity.state == UP


def restarted(before: Identity, now: Identity) -> bool:
    """Whether the file that was to be deleted first is gone, or has been written to."""
    first = before.instance.get("first")
    return first is not None and first != now.instance.get("first")


class Reader:
    """Looks at one disk: each look is over when `timeout` is, and all are by `by`, a moment of `boottime`."""

    def __init__(self, target: Target, transport: Transport, timeout: timedelta = LOOK, *, by: float = inf) -> None:
        self._target, self._transport, self._timeout, self._by = target, transport, timeout, by

    def identity(self) -> Identity:
        """How full it is, and the file that would be deleted first.

        Raises PermanentError where nothing is mounted there, or on another machine; TemporaryError without an answer.
        """
        return self.of(self.listing())

    def of(self, listing: Listing) -> Identity:
        """The identity that the listing shows."""
        asked: Words = self._target.words
        chosen = listing.chosen(asked.at_most)
        first = "-".join(map(str, chosen[0].key)) if chosen else None
        state = UP
        if listing.space.percent < asked.free:
            taken = sum(file.taken for file in chosen)
            files = "1 file" if len(chosen) == 1 else f"{len(chosen)} files"
            state = f"{free_words(listing.space)}, and {asked.free:g}% have to be; {files} ({megabytes(taken)}) may be deleted"
        return Identity(state, {"mounted": listing.device, "first": first})

    def listing(self, *, partly: bool = False) -> Listing:
        """What may be deleted now. Raises as `identity` does; with `partly` what was seen is kept where a part is not."""
        by, asked = min(boottime() + self._timeout.total_seconds(), self._by), self._target.words
        disk = self._disk(by)
        device, points = disk.mounted()
        space, files, unseen = disk.space(), list[File](), list[str]()
        for number, entry in enumerate(asked.entries):
            try:
                share = 1 + len(asked.entries) - number if partly else 1
                found, complaint = self._of(entry, points, boottime() + (by - boottime()) / share)
            except TemporaryError as error:
                if not partly:
                    raise
                found, complaint = [], f"{entry.path}: {error}"
            files += found
            unseen += [complaint] if complaint else []
        files.sort(key=lambda file: tuple(map(int, file.written_at.split("."))))
        try:
            held = disk.held({file.device for file in files}) if files else Held({}, 0)
        except TemporaryError as error:
            if not partly:
                raise
            held, unseen = Held({}, 0), [*unseen, f"which of the files are open: {error}"]
        return Listing(device, space, files, held, unseen)

    def _of(self, entry: Entry, points: Sequence[str], deadline: float) -> tuple[list[File], str]:
        """The entry's files, and what was not seen of them."""
        disk = self._disk(deadline)
        if (why := disk.misplaced(entry, points)) is not None:
            return [], why
        return disk.files(entry, points)

    def disk(self) -> Disk:
        """What it is looked at with. Raises PermanentError where the transport leads to another machine."""
        return self._disk(min(boottime() + self._timeout.total_seconds(), self._by))

    def _disk(self, deadline: float) -> Disk:
        target = self._target
        if not self._transport.leads_to(target.host):
            raise PermanentError(
                f"{target.id} is a disk of {target.host}, and this machine is {self._transport.machine}"
            )
        return Disk(self._transport, target.name, deadline)


class Changer:
    """Deletes old files of one disk."""

    def __init__(self, target: Target, transport: Transport, total_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._target, self._transport, self._total = target, transport, total_timeout
        self._words: Words = target.words
        self._reader = Reader(target, transport, min(LOOK, total_timeout))
        self.did = ""
        self.output = ""  # each file, and what became of it

    def free_disk(self, expected: Identity, last_look: Callable[[], None]) -> Identity:
        """Delete what services.yaml names of this disk, the oldest first, at most `at_most` files; returns how it is then.

        Which files is fixed before `last_look`: each by its inode, size and last write, which `find` compares again where it
        deletes. It is proven by a look: the files are gone, and the free space is read again.

        Nothing was sent if it raises Refused (another file is the first now, another file system is mounted, or none may be
        deleted) or TemporaryError. PermanentError: none of them was deleted. OutcomeUnknown: it was sent, and what became of it
        is open. Where only some are gone it returns, and `did` names the others.
        """
        deadline = boottime() + self._total.total_seconds()
        before = self._judged(expected)
        chosen = before.chosen(self._words.at_most)
        self.output = listed(before, chosen)
        entries = self._words.entries
        command, limit = deletion(entries, chosen), self._total + GUARD
        with self._transport.command(command, limit=limit, sudoers=sudoers(entries)) as find:
            last_look()
            if boottime() >= deadline:
                raise Refused(f"the {spoken(self._total)} for {self._target.id} were over before anything was deleted")
            find.start()
            kill_point("act_sent", self._target.id)
            try:
                ended = find.end(deadline)
            except OutOfTime as error:
                raise OutcomeUnknown(
                    f"deleting {len(chosen)} files of {self._target.id} was ended after {spoken(self._total)}: some may be gone"
                ) from error
        return self._after(before, chosen, ended)

    def _judged(self, expected: Identity) -> Listing:
        """What may be deleted now. Raises TargetChanged or Refused, and as `Reader.identity` does."""
        target, listing = self._target, self._reader.listing()
        now = self._reader.of(listing).instance
        if now["mounted"] != expected.instance.get("mounted"):
            raise TargetChanged(f"{target.id} is another file system than the one that was judged")
        if not listing.chosen(self._words.at_most):
            raise Refused(f"no file of {target.id} may be deleted: {why_none(listing, self._words.entries)}")
        if now["first"] != expected.instance.get("first"):
            raise TargetChanged(f"another file of {target.id} is the first to be deleted than the one that was judged")
        return listing

    def _after(self, before: Listing, chosen: Sequence[File], ended: Ended) -> Identity:
        """How it is now. Raises PermanentError where nothing was deleted, OutcomeUnknown where it cannot be seen."""
        target = self._target
        try:
            there = self._still_there(chosen)
            told = there.lost if ended.lost else partial(_said, ended)
            gone = [file for file in chosen if there.lacks(file) and told(file)]
            left = [file for file in chosen if file not in gone]
            after = self._settled(before.space, sum(file.taken for file in gone))
            held = self._reader.disk().held({file.device for file in gone}) if gone else Held({}, 0)
            identity = self._reader.identity()
        except (TemporaryError, PermanentError) as error:
            raise OutcomeUnknown(f"files of {target.id} were deleted, and it does not say which: {error}") from error
        self.output = listed(before, chosen, gone)
        if not gone:
            unchanged = any(file.key in there.keys for file in chosen)
            why = words(ended) if unchanged else "they have been written to, or were moved or deleted by somebody else"
            raise PermanentError(f"none of the {len(chosen)} files of {target.id} was deleted: {why}")
        self.did = account(before.space, after, gone, left, held, ended)
        return identity

    def _still_there(self, chosen: Sequence[File]) -> "_There":
        """Every file of the folders, however young: those of the chosen that are gone are not among them."""
        disk = self._reader.disk()
        _, points = disk.mounted()
        found, unseen = list[File](), list[str]()
        for entry in self._words.entries:
            if disk.misplaced(entry, points) is not None:
                unseen.append(entry.path)
            elif any(is_in(file.path, entry.path) for file in chosen):
                found += disk.files(entry, points, all_ages=True)[0]
        keys, inodes = ({file.key for file in found}, {file.inode for file in found})
        return _There(frozenset(keys), frozenset(inodes), tuple(unseen))

    def _settled(self, before: Space, taken: int) -> Space:
        """How full it is, once as much is free as was taken, or after a moment."""
        until = boottime() + SETTLES_SECONDS
        while (now := self._reader.disk().space()).free < before.free + taken and boottime() < until:
            time.sleep(AGAIN_SECONDS)
        return now


@dataclass(frozen=True, slots=True)
class _There:
    """The files that are there after a deletion, by their keys, and the folders that are not what they were."""

    keys: frozenset[tuple[int, int, int, str]]
    inodes: frozenset[int]
    unseen: tuple[str, ...]

    def lacks(self, file: File) -> bool:
        """Whether the file is gone, as far as that can be seen."""
        return file.key not in self.keys and not any(is_in(file.path, folder) for folder in self.unseen)

    def lost(self, file: File) -> bool:
        """Whether no file there has its inode, written to or not."""
        return file.inode not in self.inodes


def _said(ended: Ended, file: File) -> bool:
    """Whether `find` has said that it deleted the file: one that is gone may have been moved by somebody else."""
    return str(file.inode) in ended.output.split(".")


def forbidden(target: Target, transport: Transport, _remedy: str) -> str | None:
    """Why this user may not delete files there, and what grants it. Raises TemporaryError or PermanentError."""
    entries = target.words.entries
    if not entries:
        return "services.yaml names nothing under `clean`: no file may be deleted"
    disk = Reader(target, transport).disk()
    _, points = disk.mounted()
    if wrong := [why for entry in entries if (why := disk.misplaced(entry, points)) is not None]:
        return "; ".join(wrong)
    if transport.by_sudo:
        try:
            with transport.command(deletion(entries, ()), sudoers=sudoers(entries)):
                return None
        except PermanentError as error:
            return str(error)
    found = []
    for entry in entries:
        try:
            with transport.folder(entry.path) as folder:
                found.append(folder.unreplaceable(".paramedic"))
        except OSError as error:
            found.append(f"{entry.path} cannot be opened: {error.strerror or error}")
    return "; ".join(why for why in found if why is not None) or None


def foreseen(target: Target, transport: Transport, _remedy: str, _alerts: Sequence[Alert]) -> str:
    """Which files would be deleted now. Raises Refused where none may be, and as `Reader.identity` does."""
    listing, asked = Reader(target, transport).listing(), target.words
    if not (chosen := listing.chosen(asked.at_most)):
        raise Refused(f"no file of {target.id} may be deleted: {why_none(listing, asked.entries)}")
    return to_be_deleted(chosen)


def free_space(target: Target, transport: Transport) -> Seen:
    """How much of it everybody may still fill, in percent. Raises as `Reader.identity` does."""
    disk = Reader(target, transport).disk()
    disk.mounted()
    space = disk.space()
    return {"free": space.percent}, f"{target.name} of {target.host}: {free_words(space)}"


def _files_now(target: Target, transport: Transport, deadline: float) -> Gathered:
    listing = Reader(target, transport, by=deadline).listing(partly=True)
    return Gathered(listed(listing, listing.chosen(target.words.at_most)), blind(listing))


EVIDENCE = {"files": ByDeadline(_files_now)}
