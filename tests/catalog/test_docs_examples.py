"""The whole runbook and the oncall.yaml that docs/runbooks.md shows are ones that lint has nothing against."""

import re
from pathlib import Path

from paramedic.catalog.advice import advice
from paramedic.catalog.library import read_folder
from paramedic.settings import ROOT, Settings


def _shown(page: str, begin: str) -> str:
    """The block of the page that begins so."""
    [block] = re.findall(rf"```\w+\n({begin}.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return str(block)


def test_together_with_the_services_of_docs_targets_they_are_a_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(_shown("targets.md", "services:"))
    (tmp_path / "oncall.yaml").write_text(_shown("runbooks.md", "people:\n  ada: .*?zone"))
    (tmp_path / "tracking-api-down.md").write_text(_shown("runbooks.md", "---\nrunbook:"))
    library = read_folder(tmp_path)
    assert library.problems == ()
    assert list(library.runbooks) == ["tracking-api-down"]
    deadline = Settings(data=tmp_path / "data").act_deadline
    assert list(advice(library, tmp_path, act_deadline=deadline)) == []
