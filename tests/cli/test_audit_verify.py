"""`paramedic audit verify` asks every signed word that is known, and misses those that should be there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from databases import edited
from incident_states import handed_over

from paramedic import keys
from paramedic.cli.audit import audit_command
from paramedic.settings import BadSettings, Settings
from paramedic.store import Store
from paramedic.store.migrations import migrate
from paramedic.upkeep import checkpoints


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store with an incident, its trail signed."""
    settings = Settings(data=tmp_path)
    migrate(settings.store())
    store = Store(settings.store())
    handed_over(store)
    checkpoints.sign(store, settings)
    store.close()
    return settings


@pytest.fixture
def verify(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, str]]:
    def run() -> tuple[int, str]:
        code = audit_command.main(["verify", "--data", str(settings.data)], standalone_mode=False)
        return code or 0, capsys.readouterr().out

    return run


def test_what_was_signed_verifies(verify: Callable[[], tuple[int, str]]) -> None:
    code, output = verify()
    assert code == 0
    assert "trail verified" in output


@pytest.mark.parametrize(
    ("witness", "words"),
    [(True, "the trail was cut off"), (False, "the store has incidents, and the trail tells of none")],
)
def test_a_trail_that_was_emptied_with_its_checkpoints_is_missed(
    settings: Settings, verify: Callable[[], tuple[int, str]], witness: bool, words: str
) -> None:
    edited(settings.data / "paramedic.db", "DELETE FROM trail")
    settings.checkpoints().unlink()
    if not witness:
        keys.signing_witness(settings).unlink()
    code, output = verify()
    assert code == 1
    assert words in output.replace("\n", " ")


def test_checkpoints_that_were_taken_away_are_missed(settings: Settings, verify: Callable[[], tuple[int, str]]) -> None:
    settings.checkpoints().write_text("")
    code, output = verify()
    assert code == 1
    assert "no longer holds" in output.replace("\n", " ")


def test_a_public_key_that_was_exchanged_verifies_nothing(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, verify: Callable[[], tuple[int, str]]
) -> None:
    other = Settings(data=tmp_path_factory.mktemp("other"))
    keys.signing_key(other)
    keys.public_key_file(settings).write_bytes(keys.public_key_file(other).read_bytes())
    with pytest.raises(BadSettings, match="not the public half"):
        verify()
