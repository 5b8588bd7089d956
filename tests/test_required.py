"""Where every real server is asked for, nothing that a machine lacks is skipped."""

from pathlib import Path

import pytest
from required import missing

HERE = Path(__file__).parent

#: Skips that say what kind of system it is, not what is missing on it.
KINDS_OF_SYSTEM = {"machine/test_parent_death.py", "machine/test_ports.py", "real/test_systemd.py"}


@pytest.mark.parametrize(("asked", "raised"), [("1", "Failed"), ("0", "Skipped")])
def test_what_is_missing_fails_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, asked: str, raised: str) -> None:
    monkeypatch.setenv("REQUIRE_REAL_SERVERS", asked)
    with pytest.raises(BaseException, match="no mount here") as caught:
        missing("no mount here")
    assert type(caught.value).__name__ == raised


def test_no_test_skips_by_itself() -> None:
    signs = ("pytest.skip" + "(", "mark.skip" + "if", "mark.x" + "fail")
    found = {
        str(path.relative_to(HERE)) for path in HERE.rglob("*.py") if any(sign in path.read_text() for sign in signs)
    }
    assert found == {"required.py", *KINDS_OF_SYSTEM}
