"""Each message is, word for word, the one in `golden/` that somebody has read; `make golden` renews them."""

import pytest
from golden_messages import FOLDER, files

NOW_WRITTEN = files()


@pytest.mark.parametrize("called", sorted(NOW_WRITTEN))
def test_a_message_is_as_it_was_read(called: str) -> None:
    assert NOW_WRITTEN[called] == (FOLDER / called).read_text(encoding="utf-8"), (
        "if it is meant: make golden, and read it"
    )


def test_no_file_is_left_of_a_message_that_is_no_more() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(NOW_WRITTEN)
