"""Every setting from the environment and a file; an unknown one is refused with the nearest known."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from paramedic import settings
from paramedic.secret import forget_all, redact
from paramedic.settings import BadSettings, load


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("PARAMEDIC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_default_binds_to_loopback_and_knows_no_sender() -> None:
    chosen = load()
    assert chosen.host == "127.0.0.1"
    assert chosen.gateway_tokens == chosen.gateway_users == {}
    assert chosen.store().startswith("sqlite:///")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "paramedic.toml").write_text('lease = "20s"\nport = 9000\n')
    monkeypatch.setenv("PARAMEDIC_PORT", "9001")
    chosen = load()
    assert (chosen.lease, chosen.port) == (timedelta(seconds=20), 9001)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PARAMEDIC_LEESE", "20s", "did you mean PARAMEDIC_LEASE?"),
        ("PARAMEDIC_LEASE", "soon", "no duration"),
        ("PARAMEDIC_PORT", "99999", "port"),
        ("PARAMEDIC_GATEWAY_TOKENS", "not json", "gateway_tokens"),
        ("PARAMEDIC_CONFIG", "/nowhere.toml", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_said(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=says.replace("?", r"\?")):
        load()


def test_an_unknown_key_in_the_file_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "paramedic.toml").write_text('hots = "x"\n')
    with pytest.raises(BadSettings, match=r"paramedic.toml: hots: no such setting; did you mean host\?"):
        load()


def test_secrets_are_known_from_the_moment_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_all()
    monkeypatch.setenv("PARAMEDIC_SMTP_URL", "smtp://mailer:correct-horse@mail.example.org")
    monkeypatch.setenv("PARAMEDIC_GATEWAY_TOKENS", '{"x": "battery-staple"}')
    chosen = load()
    assert "correct-horse" not in redact("it is correct-horse")
    assert "battery-staple" not in redact("it is battery-staple")
    assert "correct-horse" not in repr(chosen)
    forget_all()


def test_keys_are_made_once_and_only_we_may_read_them(tmp_path: Path) -> None:
    chosen = load(data=tmp_path / "data")
    assert settings.link_key(chosen) == settings.link_key(chosen)
    one, again = settings.signing_key(chosen), settings.signing_key(chosen)
    assert one.private_bytes_raw() == again.private_bytes_raw()
    for name in ("signing.key", "link.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600


def test_what_a_full_disk_left_of_a_key_signs_nothing(tmp_path: Path) -> None:
    chosen = load(data=tmp_path)
    (tmp_path / "link.key").write_bytes(b"")
    with pytest.raises(BadSettings, match="is no key"):
        settings.link_key(chosen)
