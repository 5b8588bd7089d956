"""What every test may ask for: a real program, or a reason why it is not here."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postbox import Postbox

pytest_plugins = ["databases"]

#: Where Debian keeps servers that are not on everybody's PATH.
PLACES = ("/usr/sbin", *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """`require("postgres")` gives the program's path; without it the test skips, or fails where PARAMEDIC_REQUIRE_REAL=1."""

    def find(program: str) -> str:
        import sys

        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), *PLACES])
        found = shutil.which(program, path=path)
        if found:
            return found
        reason = f"this machine has no {program}"
        if os.environ.get("PARAMEDIC_REQUIRE_REAL") == "1":
            pytest.fail(f"{reason}, and PARAMEDIC_REQUIRE_REAL=1 asks for it")
        pytest.skip(reason)

    return find


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """A mail server, open."""
    box = Postbox()
    box.open()
    yield box
    box.close()
