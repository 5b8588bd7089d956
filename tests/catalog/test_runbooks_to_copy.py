"""The runbooks of `runbooks/more` are used by nobody until they are copied, and then lint calls them well."""

import shutil
from pathlib import Path

from paramedic.catalog.library import read_folder

SHIPPED = Path(__file__).parents[2] / "runbooks"


def test_each_runbook_to_copy_is_called_well_beside_its_targets(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "more", tmp_path / "books")
    shutil.copy(SHIPPED / "oncall.yaml", tmp_path / "books")
    library = read_folder(tmp_path / "books", None)
    assert library.problems == ()
    assert set(library.runbooks) == {path.stem for path in (SHIPPED / "more").glob("*.md")}
    assert {placed.check.kind for _, placed in library.placed()} >= {"failed_logins"}


def test_what_was_not_copied_is_nobodys() -> None:
    assert not {path.stem for path in (SHIPPED / "more").glob("*.md")} & set(read_folder(SHIPPED, None).runbooks)
