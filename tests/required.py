"""What a test needs of its machine: without it the test is skipped, and fails where every real server is asked for."""

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test with this reason; fail it where REQUIRE_REAL_SERVERS=1."""
    if os.environ.get("REQUIRE_REAL_SERVERS") == "1":
        pytest.fail(f"{reason}, and REQUIRE_REAL_SERVERS=1 asks for it")
    pytest.skip(reason)
