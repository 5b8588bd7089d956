"""How much of this machine is used."""

from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from paramedic.errors import PermanentError
from paramedic.integrations.probes.host import used


def test_cpu_memory_and_disk_are_those_of_this_machine(tmp_path: Path) -> None:
    row = used(str(tmp_path), timedelta(milliseconds=20))
    assert 0 <= row.cpu_percent <= 100
    assert 10_000_000 < row.memory < psutil.virtual_memory().total
    assert row.memory_percent == pytest.approx(100 * row.memory / psutil.virtual_memory().total, abs=1)
    assert row.disk_percent == pytest.approx(psutil.disk_usage(str(tmp_path)).percent, abs=2)


def test_a_disk_that_is_not_there_is_useless(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be read"):
        used(str(tmp_path / "nowhere"))
