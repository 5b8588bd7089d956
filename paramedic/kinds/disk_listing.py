"""What may be deleted of a disk, why the rest stays, and what became of each file: in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from paramedic.kinds.disk_files import Entry, File, Held, Space, words
from paramedic.kinds.evidence import megabytes
from paramedic.kinds.transport import Ended

#: So many files are named in one line.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """A file system, and what may be deleted of it."""

    device: str
    space: Space
    files: Sequence[File]  # the oldest first
    held: Held
    unseen: Sequence[str]  # what could not be looked at, in words

    def kept(self, file: File) -> str | None:
        """Why a file stays, in words; None where it may be deleted."""
        if file.links != 1:
            return f"it has {file.links} names: without this one nothing would be free"
        if holders := self.held.of(file):
            return f"{', '.join(f'process {pid}' for pid in holders[:3])} has it open: nothing would be free before that ends"
        return None

    def chosen(self, at_most: int) -> list[File]:
        """What is deleted, the oldest first."""
        return [file for file in self.files if self.kept(file) is None][:at_most]


def free_words(space: Space) -> str:
    return f"{space.percent:.1f}% free ({megabytes(space.free)})"


def listed(listing: Listing, chosen: Sequence[File], gone: Sequence[File] | None = None) -> str:
    """Every file that was looked at, with its size and what becomes of it."""
    lines = [f"{free_words(listing.space)} before"]
    for file in listing.files:
        if file in chosen:
            fate = "to be deleted" if gone is None else "deleted" if file in gone else "not deleted"
        else:
            fate = f"stays: {listing.kept(file) or 'enough for one act'}"
        lines.append(f"{file.taken:>16,} B  {file.path}  {fate}")
    return "\n".join([*lines, *blind(listing)])


def to_be_deleted(chosen: Sequence[File]) -> str:
    """The files that are to be deleted, the oldest first: how many, then one a line."""
    files = "1 file" if len(chosen) == 1 else f"{len(chosen)} files"
    lines = [f"{file.path} ({megabytes(file.taken)})" for file in chosen]
    return "\n".join([f"{files} ({megabytes(sum(file.taken for file in chosen))})", *lines])


def blind(listing: Listing) -> list[str]:
    """What was not seen of it, in words, with what would have shown it."""
    told = [f"not looked at: {why}" for why in listing.unseen]
    if listing.held.unseen:
        told.append(
            f"what {listing.held.unseen} processes of other users have open was not seen: root, or CAP_SYS_PTRACE, would see it"
        )
    return told


def why_none(listing: Listing, entries: Sequence[Entry]) -> str:
    if not entries:
        return "services.yaml names nothing under `clean`"
    kept = [f"{file.path}: {listing.kept(file)}" for file in listing.files[:_NAMED]]
    return "; ".join([*kept, *blind(listing)]) or "none is old enough"


def account(  # noqa: PLR0917 - what was, what is, and what became of each
    before: Space, after: Space, gone: Sequence[File], left: Sequence[File], held: Held, ended: Ended
) -> str:
    """What was deleted, what came of it, and what was not."""
    taken, freed = sum(file.taken for file in gone), after.free - before.free
    files = "1 file" if len(gone) == 1 else f"{len(gone)} files"
    told = [f"deleted {files} ({megabytes(taken)}): {free_words(before)} before, {free_words(after)} now"]
    if ended.lost:
        told.append("its own words were lost with the connection: what is gone counts as deleted")
    if left:
        told.append(f"not deleted: {_named(left)}" + (f" ({words(ended)})" if ended.code else " (changed meanwhile)"))
    if holders := sorted({pid for file in gone for pid in held.of(file)}):
        told.append(f"still open, and free only once that ends: process {', '.join(map(str, holders[:_NAMED]))}")
    elif freed < taken // 2:
        told.append(
            "less came free than was deleted: other processes may have the files open, or a snapshot keeps them"
        )
    return "; ".join(told)


def _named(files: Sequence[File]) -> str:
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return ", ".join(file.path for file in files[:_NAMED]) + more
