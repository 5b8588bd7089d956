"""Old files of a real file system are deleted, here and by SSH: those that services.yaml names, and nothing beside them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sudo_user
from disk_stage import DAY, HERE, PIECE, Stage, agree, changer, judged, old, target
from disk_stage import stage as staged_disk
from ssh_servers import Sshd, relay, running

from paramedic.errors import PermanentError, Refused, TargetChanged
from paramedic.integrations.targets import disk as kind
from paramedic.kinds.disk_files import deletion
from paramedic.kinds.transport import Mark, MarkState, Transport
from paramedic.transports import ssh_connection
from paramedic.transports.local import Local
from paramedic.transports.ssh import Ssh

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("as_root")]


@pytest.fixture(scope="module")
def disk(require: Callable[[str], str]) -> Iterator[Stage]:
    with staged_disk(require) as made:
        yield made


@pytest.fixture(scope="module")
def server(require: Callable[[str], str], disk: Stage) -> Iterator[Sshd]:
    """It sees what is mounted by now."""
    with running(require) as made:
        yield made
    ssh_connection.close_all()


@pytest.fixture(autouse=True)
def _as_at_first(disk: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kind, "SETTLES_SECONDS", 0.2)
    yield
    disk.empty()


@pytest.fixture(params=["local", "ssh"])
def there(request: pytest.FixtureRequest, disk: Stage) -> Transport:
    if request.param == "local":
        return Local()
    server: Sshd = request.getfixturevalue("server")
    return Ssh(server.host(HERE))


def free(disk: Stage, there: Transport) -> float:
    return kind.Reader(target(disk), there).disk().space().free


def test_old_files_of_the_named_patterns_are_deleted_and_nothing_else(disk: Stage, there: Transport) -> None:
    gone = [old(disk.logs / "a.gz", 5), old(disk.logs / "app.log.7", 4), old(disk.logs / "b.gz")]
    stays = [
        old(disk.logs / "young.gz", days=0.9),
        old(disk.logs / "app.log"),
        old(disk.logs / "notes.txt"),
        old(disk.logs / "sub" / "deep.gz"),
        old(disk.elsewhere / "c.gz"),
        old(disk.outside / "d.gz"),
    ]
    (disk.logs / "old.gz.d").mkdir(exist_ok=True)
    of, before = target(disk), free(disk, there)
    seen = judged(of, there)
    assert "3 files (0.1 MB) may be deleted" in seen.state
    assert not kind.running(seen)
    named = [f"{path} (0.0 MB)" for path in gone]
    assert kind.foreseen(of, there, "free_disk", []).splitlines() == ["3 files (0.1 MB)", *named]
    made = changer(of, there)
    after = made.free_disk(seen, agree)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    with pytest.raises(Refused, match="none is old enough"):
        kind.foreseen(of, there, "free_disk", [])
    assert kind.restarted(seen, after)
    assert free(disk, there) == before + 3 * PIECE
    assert made.did.startswith("deleted 3 files (0.1 MB): ")
    assert made.output.count("  deleted") == 3
    assert f"{PIECE:,} B  {gone[0]}  deleted" in made.output
    (disk.logs / "old.gz.d").rmdir()


def test_what_was_judged_first_is_compared_and_each_file_again_where_it_is_deleted(
    disk: Stage, there: Transport
) -> None:
    first, second, third = (old(disk.logs / f"{name}.gz", days) for name, days in (("a", 5), ("b", 4), ("c", 3)))
    of = target(disk)
    seen = judged(of, there)

    def meanwhile() -> None:
        second.write_bytes(b"y" * PIECE)  # of the same size, and old again
        os.utime(second, (at := second.stat().st_mtime - 4 * DAY, at))
        third.unlink()
        old(third)  # another file of the name

    made = changer(of, there)
    made.free_disk(seen, meanwhile)
    assert (first.exists(), second.exists(), third.exists()) == (False, True, True)
    assert made.did.startswith("deleted 1 file (0.0 MB): ")
    assert f"not deleted: {second}, {third}" in made.did
    first = old(first, 6)
    with pytest.raises(TargetChanged, match="another file .* is the first to be deleted"):
        changer(of, there).free_disk(seen, agree)
    assert first.exists()


def test_where_none_of_them_is_left_as_it_was_it_has_failed(disk: Stage, there: Transport) -> None:
    only = old(disk.logs / "a.gz")
    of = target(disk)
    with pytest.raises(PermanentError, match="none of the 1 files .* was deleted: they have been written to"):
        changer(of, there).free_disk(judged(of, there), lambda: only.write_text("new"))
    assert only.read_text() == "new"


def test_a_file_that_somebody_moves_away_meanwhile_is_not_told_as_deleted(disk: Stage, there: Transport) -> None:
    moved, gone = old(disk.logs / "a.gz", 5), old(disk.logs / "b.gz")
    of = target(disk)
    made = changer(of, there)
    made.free_disk(judged(of, there), lambda: moved.rename(disk.elsewhere / "a.gz") and None)
    assert (disk.elsewhere / "a.gz").exists()
    assert not gone.exists()
    assert f"not deleted: {moved} (changed meanwhile)" in made.did


def test_a_symlink_is_never_followed_wherever_it_stands(disk: Stage, there: Transport) -> None:
    kept = [old(disk.outside / "a.gz", 5), old(disk.elsewhere / "b.gz", 5)]
    (disk.logs / "link.gz").symlink_to(kept[0])
    os.utime(disk.logs / "link.gz", (1, 1), follow_symlinks=False)
    (disk.logs / "sub").rmdir()
    (disk.logs / "sub").symlink_to(disk.outside)
    of = target(disk, depth=3)
    with pytest.raises(Refused, match="none is old enough"):
        changer(of, there).free_disk(judged(of, there), agree)
    disk.logs.rename(disk.root / "aside")
    disk.logs.symlink_to(disk.outside)
    with pytest.raises(Refused, match="reached by a symlink, which is never followed: it is .*/outside"):
        changer(of, there).free_disk(judged(of, there), agree)
    assert "reached by a symlink" in str(kind.forbidden(of, there, "free_disk"))
    assert all(path.exists() for path in kept)
    assert (disk.root / "aside" / "link.gz").is_symlink()


def test_a_folder_that_becomes_a_symlink_at_the_last_moment_leads_nowhere(disk: Stage, there: Transport) -> None:
    listed = old(disk.logs / "a.gz", 5)
    kept = old(disk.outside / "a.gz", 5)
    of = target(disk)

    def swap() -> None:
        disk.logs.rename(disk.root / "aside")
        disk.logs.symlink_to(disk.outside)

    with pytest.raises(PermanentError, match="none of the 1 files"):
        changer(of, there).free_disk(judged(of, there), swap)
    assert kept.exists()
    assert (disk.root / "aside" / listed.name).exists()


def test_a_subfolder_that_becomes_a_symlink_at_the_last_moment_leads_nowhere(disk: Stage, there: Transport) -> None:
    old(disk.logs / "sub" / "a.gz", 5)
    top, kept = old(disk.logs / "b.gz", 6), old(disk.outside / "a.gz", 5)
    of, moved = target(disk, depth=2), disk.root / "moved"

    def swap() -> None:
        (disk.logs / "sub").rename(moved)
        (disk.logs / "sub").symlink_to(disk.outside)

    made = changer(of, there)
    made.free_disk(judged(of, there), swap)
    assert (top.exists(), kept.exists(), (moved / "a.gz").exists()) == (False, True, True)
    assert f"not deleted: {disk.logs / 'sub' / 'a.gz'}" in made.did
    (moved / "a.gz").unlink()
    moved.rmdir()


def test_no_mount_is_crossed_not_even_one_of_the_same_file_system(disk: Stage, there: Transport) -> None:
    kept = [old(disk.logs / "nested" / "a.gz", 9), old(disk.elsewhere / "b.gz", 9)]
    assert (disk.logs / "bound" / "b.gz").exists()
    gone = old(disk.logs / "sub" / "c.gz")
    of = target(disk, depth=5)
    made = changer(of, there)
    made.free_disk(judged(of, there), agree)
    assert all(path.exists() for path in kept)
    assert not gone.exists()
    assert "nested" not in made.output
    assert "bound" not in made.output


def test_a_folder_on_another_mount_than_the_disk_s_frees_nothing_of_it(disk: Stage, there: Transport) -> None:
    kept = [old(disk.logs / "nested" / "a.gz"), old(disk.logs / "bound" / "b.gz")]
    for folder in ("nested", "bound"):
        clean = [{"path": str(disk.logs / folder), "names": ["*.gz"], "older_than": "1d"}]
        of = target(disk, clean=clean)
        with pytest.raises(Refused, match=f"is on another mount: .*/{folder}"):
            changer(of, there).free_disk(judged(of, there), agree)
    assert all(path.exists() for path in kept)


def test_a_file_of_two_names_frees_nothing_and_stays(disk: Stage, there: Transport) -> None:
    linked, late, gone = (old(disk.logs / f"{name}.gz", days) for name, days in (("a", 9), ("b", 8), ("c", 7)))
    os.link(linked, disk.elsewhere / "a")
    of = target(disk)
    made = changer(of, there)
    made.free_disk(judged(of, there), lambda: os.link(late, disk.elsewhere / "b"))
    assert (linked.exists(), late.exists(), gone.exists()) == (True, True, False)
    assert f"{linked}  stays: it has 2 names" in made.output
    assert f"not deleted: {late}" in made.did


class Holder:
    """A process that has a file open."""

    def __init__(self, path: Path) -> None:
        code = f"f = open({str(path)!r}); print('open', flush=True); input()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "open\n"

    def end(self) -> None:
        self.process.communicate("\n")


def test_a_file_that_somebody_has_open_stays_and_one_that_is_opened_late_is_told(disk: Stage, there: Transport) -> None:
    open_now, open_late = old(disk.logs / "a.gz", 9), old(disk.logs / "b.gz", 8)
    of, before = target(disk), free(disk, there)
    holders = [Holder(open_now)]
    try:
        made = changer(of, there)
        made.free_disk(judged(of, there), lambda: holders.append(Holder(open_late)))
        assert (open_now.exists(), open_late.exists()) == (True, False)
        assert f"process {holders[0].process.pid} has it open: nothing would be free before that ends" in made.output
        assert made.did.endswith(f"still open, and free only once that ends: process {holders[1].process.pid}")
        assert free(disk, there) == before
    finally:
        for holder in holders:
            holder.end()


def test_the_name_of_a_file_is_never_anything_else(disk: Stage, there: Transport) -> None:
    names = ["-delete.gz", "a b.gz", "$(touch x).gz", "'; rm -rf .gz", "new\nline.gz", "*.gz", "ü\udcff.gz", "[a].gz"]
    made = [old(disk.logs / name) for name in names]
    kept = old(disk.logs / "a", 9)
    of = target(disk)
    done = changer(of, there)
    done.free_disk(judged(of, there), agree)
    assert [path for path in made if path.exists()] == []
    assert sorted(path.name for path in disk.logs.iterdir() if path.is_file()) == [kept.name]
    assert done.did.startswith(f"deleted {len(names)} files")


def test_the_oldest_are_deleted_first_and_no_more_than_one_act_may(disk: Stage, there: Transport) -> None:
    made = [old(disk.logs / f"app.log.{days}", days) for days in (2, 9, 4, 7)]
    of = target(disk, at_most=2)
    done = changer(of, there)
    done.free_disk(judged(of, there), agree)
    assert [path.exists() for path in made] == [True, False, True, False]
    assert done.output.count("stays: enough for one act") == 2


def test_the_oldest_of_all_folders_is_the_first(disk: Stage, there: Transport) -> None:
    kept, gone = old(disk.logs / "a.gz", 5), old(disk.elsewhere / "b.gz", 9)
    clean = [{"path": str(path), "names": ["*.gz"], "older_than": "1d"} for path in (disk.logs, disk.elsewhere)]
    of = target(disk, clean=clean, at_most=1)
    changer(of, there).free_disk(judged(of, there), agree)
    assert (kept.exists(), gone.exists()) == (True, False)


def test_a_name_that_reads_like_a_line_of_the_list_is_one_name(disk: Stage, there: Transport) -> None:
    victim = old(disk.elsewhere / "victim.gz", 9).stat()
    lines = [f"{before} 1.0 {victim.st_dev} {victim.st_ino} {victim.st_size} 1 80 x.gz" for before in ("", "0")]
    forged = old(disk.logs / ("a\n" + "\n".join(lines)), 3)
    of = target(disk)
    listing = kind.Reader(of, there).listing()
    assert [file.inode for file in listing.files] == [forged.stat().st_ino]


def test_a_no_at_the_last_look_deletes_nothing(disk: Stage, there: Transport) -> None:
    kept = old(disk.logs / "a.gz")
    of = target(disk)

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        changer(of, there).free_disk(judged(of, there), too_late)
    assert kept.exists()


def test_what_is_no_mount_point_is_no_disk(disk: Stage, there: Transport) -> None:
    with pytest.raises(PermanentError, match="logs is no mount point there"):
        judged(named(disk, str(disk.logs)), there)


def named(disk: Stage, mount: str) -> Any:
    from dataclasses import replace

    return replace(target(disk), name=mount)


def test_what_a_cut_connection_deletes_is_known_by_a_look(disk: Stage, server: Sshd) -> None:
    gone, kept = old(disk.logs / "a.gz", 5), old(disk.logs / "b.gz", 4)
    with relay(server) as way:
        of = target(disk, server.through(way, HERE))
        there = Ssh(server.through(way, HERE), act="act-disk-1", lock=of.id)
        seen = judged(of, there)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "kill_point", lambda *_: way.cut())
            made = kind.Changer(of, there, timedelta(seconds=60))
            made.free_disk(seen, lambda: kept.write_text("new"))
        assert there.mark("act-disk-1") == Mark(MarkState.HAPPENED, 0)
    assert (gone.exists(), kept.exists()) == (False, True)
    assert made.did.startswith("deleted 1 file")


@pytest.fixture
def helped(require: Callable[[str], str], disk: Stage) -> Iterator[tuple[Sshd, Path]]:
    with tempfile.TemporaryDirectory(prefix="helper") as etc:
        Path(etc).chmod(0o755)
        with sudo_user.helper(require, Path(etc)) as made:
            yield made


def test_who_may_not_delete_there_hears_what_grants_it(disk: Stage, helped: tuple[Sshd, Path]) -> None:
    server, _ = helped
    there, kept = Ssh(server.host(HERE), lock="it"), old(disk.logs / "a.gz")
    of = target(disk)
    assert kind.forbidden(of, Local(), "free_disk") is None
    why = kind.forbidden(of, there, "free_disk")
    assert why is not None
    assert why.startswith(f"the user helper may not write in {disk.logs}: `setfacl -m u:helper:rwx {disk.logs}`")
    made = changer(of, there)
    with pytest.raises(PermanentError, match="none of the 1 files .* was deleted: .*Permission denied"):
        made.free_disk(judged(of, there), agree)
    assert kept.exists()
    assert "processes of other users have open was not seen: root, or CAP_SYS_PTRACE, would see it" in made.output


def test_one_that_may_be_deleted_and_one_that_may_not_are_told_apart(disk: Stage, helped: tuple[Sshd, Path]) -> None:
    there = Ssh(helped[0].host(HERE), lock="it")
    disk.logs.chmod(0o1777)
    mine, theirs = old(disk.logs / "a.gz", 5), old(disk.logs / "b.gz", 4)
    os.chown(mine, sudo_user.NUMBER, sudo_user.NUMBER)
    of = target(disk)
    made = changer(of, there)
    made.free_disk(judged(of, there), agree)
    assert (mine.exists(), theirs.exists()) == (False, True)
    assert f"not deleted: {theirs} (find: cannot delete" in made.did
    assert "Operation not permitted" in made.did


def test_by_sudo_one_line_allows_this_deletion_and_no_other(disk: Stage, helped: tuple[Sshd, Path]) -> None:
    server, sudoers = helped
    of = target(disk, server.host(HERE), depth=2)
    there = Ssh(server.host(HERE, sudo=True), lock=of.id)
    why = kind.forbidden(of, there, "free_disk")
    assert why is not None
    line = why.removeprefix(f"{HERE} lacks a line in its sudoers: `").removesuffix("`")
    assert line.startswith("helper ALL=(root) NOPASSWD: /usr/bin/find ^-P ")
    gone, kept = old(disk.logs / "a b.gz", 5), old(disk.logs / "young.gz", days=0.5)
    with pytest.raises(PermanentError, match="lacks a line in its sudoers"):
        changer(of, there).free_disk(judged(of, there), agree)
    sudo_user.allow(sudoers, f"{line}\n")
    assert kind.forbidden(of, there, "free_disk") is None
    changer(of, there).free_disk(judged(of, there), agree)
    assert (gone.exists(), kept.exists()) == (False, True)
    as_listed = deletion(of.words.entries, ())
    for other in (
        [*as_listed[:-3], "-print"],
        ["find", "-P", "/etc", *as_listed[3:]],
        [word.replace("+1440", "+0") for word in as_listed],
        ["*" if word == "*.gz" else word for word in as_listed],
        [*as_listed[: as_listed.index("-false")], "-true", *as_listed[as_listed.index("-false") + 1 :]],
        [*as_listed, "-exec", "id", ";"],
    ):
        with pytest.raises(PermanentError, match="lacks a line in its sudoers"):
            there.command(other)


def test_its_free_space_is_that_of_df_and_its_health_by_it(disk: Stage, there: Transport) -> None:
    roomy = target(disk, free="1%")
    assert kind.running(judged(roomy, there))
    values, why = kind.free_space(roomy, there)
    said = subprocess.run(["df", "--output=pcent", str(disk.root)], check=True, capture_output=True, text=True)
    used = int(said.stdout.split()[-1].rstrip("%"))
    assert abs((100 - values["free"]) - used) <= 1
    assert why.startswith(f"{disk.root} of {HERE}: ")
    listing = kind.EVIDENCE["files"](target(disk), there).text
    assert "free" in listing
