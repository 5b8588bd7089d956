"""The documentation's tables are those that the shipped plug-ins make."""

from pathlib import Path

import pytest

from paramedic.kinds import docs_tables
from paramedic.kinds.registry import Registry, Room

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", docs_tables.TABLES)
def test_a_page_shows_its_tables_as_they_are_now(page: str) -> None:
    text = (ROOT / page).read_text()
    assert docs_tables.written(page, text) == text, "run `make tables`"


def test_every_shipped_probe_has_its_row_with_each_of_its_metrics() -> None:
    rows = docs_tables.probes().splitlines()[2:]
    shipped = Registry().usable(Room.PROBES)
    assert len(rows) == len(shipped) >= 7
    for probe in shipped.values():
        [row] = [row for row in rows if row.startswith(f"| `{probe.CHECK[0]}`")]
        assert all(f"`{metric.name}`" in row for metric in probe.METRICS)


def test_every_shipped_channel_has_its_row() -> None:
    rows = docs_tables.channels().splitlines()[2:]
    assert [row.split(":")[0] for row in rows] == [f"| `{name}" for name in Registry().usable(Room.CHANNELS)]
    [webhook] = [row for row in rows if row.startswith("| `webhook:NAME`")]
    assert "up to 100,000 characters" in webhook


def test_a_page_without_a_place_for_its_table_is_named() -> None:
    with pytest.raises(ValueError, match=r"docs/runbooks.md has no lines '<!-- made by `make tables`: probes -->'"):
        docs_tables.written("docs/runbooks.md", "# Runbooks")
