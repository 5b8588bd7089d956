"""Settings: read from three places, all problems named at once, secrets known, keys made whole."""

import json
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from databases import at_once
from pydantic import SecretStr

from paramedic import keys
from paramedic.settings import BadSettings, Settings, load_settings
from paramedic.text import redaction

ROOT = Path(__file__).parents[1]
PASSWORD = "p@ss/w0rd-of-the-store"

pytestmark = pytest.mark.usefixtures("_nothing_set")


def test_without_anything_set_there_are_defaults(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    assert settings.store() == f"sqlite:///{tmp_path}/paramedic.db"
    assert settings.checkpoints() == tmp_path / "checkpoints.jsonl"
    assert settings.links_at() == "http://127.0.0.1:8650"
    assert settings.runbooks == ROOT / "runbooks"
    assert settings.gateway_tokens == settings.gateway_users == {}, "nobody is let in"
    assert (settings.origin("data"), settings.origin("port")) == ("given", "default")


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("paramedic.toml").write_text('port = 1\nhost = "::1"\nlease = "20s"\nwork_pool = "theirs"\n')
    monkeypatch.setenv("PARAMEDIC_PORT", "2")
    monkeypatch.setenv("PARAMEDIC_HOST", "127.0.0.2")
    monkeypatch.setenv("PARAMEDIC_WORK_POOL", "")
    settings = load_settings(port=3)
    assert (settings.port, settings.host, settings.lease) == (3, "127.0.0.2", timedelta(seconds=20))
    assert settings.work_pool == "theirs", "an empty variable is one that is not set"
    assert [settings.origin(name) for name in ("port", "host", "lease", "renew")] == [
        "given",
        "environment",
        "paramedic.toml",
        "default",
    ]


def test_every_problem_is_named_at_once_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ours.toml").write_text('watchdog_evry = "5s"\nprobe_timeout = 2\n')
    monkeypatch.setenv("PARAMEDIC_CONFIG", "ours.toml")
    monkeypatch.setenv("PARAMEDIC_PROT", "1")
    monkeypatch.setenv("paramedic_host", "x")
    monkeypatch.setenv("PARAMEDIC_PORT", "99999")
    monkeypatch.setenv("PARAMEDIC_LEASE", "soon")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert lines[:3] == [
        "environment: PARAMEDIC_PROT: no such setting; did you mean PARAMEDIC_PORT?",
        "environment: paramedic_host: no such setting; did you mean PARAMEDIC_HOST?",
        "ours.toml: watchdog_evry: no such setting; did you mean watchdog_every?",
    ]
    assert {": ".join(line.split(": ")[:2]) for line in lines[3:]} == {
        "environment: PARAMEDIC_PORT",
        "environment: PARAMEDIC_LEASE",
        "ours.toml: probe_timeout",
    }
    assert "5s, 10m" in next(line for line in lines if "probe_timeout" in line), "a bare number has no unit"


def test_names_that_are_no_settings_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARAMEDIC_KILL_POINTS", str(tmp_path))
    monkeypatch.setenv("PARAMEDIC_DIE_WITH_PARENT", "1")
    load_settings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PARAMEDIC_GATEWAY_TOKENS", PASSWORD, "write JSON"),
        ("PARAMEDIC_GATEWAY_TOKENS", f'["{PASSWORD}"]', "dictionary"),
        ("PARAMEDIC_GATEWAY_TOKENS", '{"alertmanager": "short"}', "too short"),
        ("PARAMEDIC_CHANNELS", PASSWORD, "write JSON"),
        (
            "PARAMEDIC_CHANNELS",
            f'{{"ops": {{"secret": ["{PASSWORD}"]}}}}',
            "PARAMEDIC_CHANNELS.ops.secret: Input should be a valid string",
        ),
        ("PARAMEDIC_CHANNELS", f'{{"o p": {{"url": "http://here/{PASSWORD}"}}}}', "'o p' is not a name here"),
        ("PARAMEDIC_SMTP_URL", f"http://me:{PASSWORD}@mail", "smtp://"),
        ("PARAMEDIC_STORE_URL", f"mysql://me:{PASSWORD}@db", "postgresql://"),
        ("PARAMEDIC_RENEW", "5s", "half"),
        ("PARAMEDIC_WATCHDOG_EVERY", "0s", "too short; allowed: from 50ms to 5m"),
    ],
)
def test_a_bad_value_is_refused_in_words_that_do_not_repeat_a_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None, "pydantic's own text would repeat it in a traceback"


def test_a_file_that_was_named_and_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_CONFIG", "nowhere.toml")
    with pytest.raises(BadSettings, match=r"nowhere\.toml: cannot be read"):
        load_settings()


def test_secrets_are_known_from_the_moment_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    redaction.forget_all()
    monkeypatch.setenv("PARAMEDIC_STORE_URL", "postgresql://me:p%40ss%2Fw0rd-of-the-store@db/x")
    monkeypatch.setenv("PARAMEDIC_GATEWAY_TOKENS", '{"alertmanager": "a-token-nobody-may-see"}')
    monkeypatch.setenv("PARAMEDIC_PREFECT_API_AUTH", "admin:a-login-nobody-may-see")
    settings = load_settings()
    for hidden in (PASSWORD, "p%40ss%2Fw0rd-of-the-store", "a-token-nobody-may-see", "a-login-nobody-may-see"):
        assert hidden not in redaction.redact(f"said: {hidden}.")
        assert hidden not in repr(settings)
    redaction.forget_all()


def test_another_process_reads_the_same_settings_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = load_settings(
        data=tmp_path / "däta",
        lease="1h 30m",
        probe_timeout="250ms",
        channels={"ops": {"url": "https://here/x", "secret": "whsec_x"}, "chat": {"url": "json://here"}},
        gateway_tokens={"one": "a long one", "two": 'with "quotes"'},
        smtp_url="smtp://me:secret@mail",
        body_limit="2MiB",
    )
    for name, value in given.as_env().items():
        monkeypatch.setenv(name, value)
    read = load_settings()
    assert read.model_dump() == given.model_dump()
    assert read.gateway_tokens["two"] == SecretStr('with "quotes"')
    assert read.body_limit == 2 * 1024 * 1024


def test_the_keys_that_a_channel_s_url_carries_are_known_as_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {"chat": {"url": "slack://T0AAA/B0BBB/abcdefgh%2Bijklmnopqrstuvw"}, "ops": {"url": "https://u:sesame@h"}}
    monkeypatch.setenv("PARAMEDIC_CHANNELS", json.dumps(channels))
    load_settings()
    text = "abcdefgh%2Bijklmnopqrstuvw abcdefgh+ijklmnopqrstuvw sesame https://u:sesame@h"
    assert redaction.redact(text) == "[secret] [secret] [secret] [secret]"
    redaction.forget_all()


def test_channels_are_read_from_the_file_as_well() -> None:
    Path("paramedic.toml").write_text('[channels]\nops = {url = "https://here/x", secret = "whsec_abc"}\n')
    assert load_settings().channels["ops"].url.get_secret_value() == "https://here/x"


def test_the_example_names_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^# (PARAMEDIC_[A-Z_]+)=(\S*)", text, re.MULTILINE))
    shown.pop("PARAMEDIC_CONFIG")
    assert set(shown) == {f"PARAMEDIC_{name.upper()}" for name in Settings.model_fields}
    defaults = load_settings()
    for name, value in shown.items():
        if name != "PARAMEDIC_RUNBOOKS":  # written as it stands in the checkout
            monkeypatch.setenv(name, value)
    assert load_settings().model_dump() == defaults.model_dump()


def _link_key(folder: str, _number: int) -> str:
    return keys.link_key(Settings(data=Path(folder))).decode()


def _signing_key(folder: str, _number: int) -> bytes:
    return keys.signing_key(Settings(data=Path(folder))).private_bytes_raw()


def test_processes_that_come_at_once_get_the_same_whole_keys(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    links = at_once(6, _link_key, folder)
    assert len(set(links)) == 1
    assert len(links[0]) == 64
    assert len(set(at_once(6, _signing_key, folder))) == 1
    assert sorted(path.name for path in Path(folder).iterdir()) == ["link.key", "signing.key", "signing.pub"]


def test_keys_are_for_their_owner_alone_and_stay_the_same(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data")
    key = keys.signing_key(settings)
    link, token = keys.link_key(settings), keys.gateway_token(settings)
    for name in ("signing.key", "link.key", "gateway-token"):
        assert stat.S_IMODE((settings.data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(settings.data.stat().st_mode) == 0o700
    assert keys.signing_key(settings).private_bytes_raw() == key.private_bytes_raw()
    assert keys.public_key(settings).public_bytes_raw() == key.public_key().public_bytes_raw()
    assert (keys.link_key(settings), keys.gateway_token(settings)) == (link, token)
    assert token not in redaction.redact(token)


@pytest.mark.parametrize("content", [b"", b"no key at all"])
def test_a_key_that_is_none_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    settings = load_settings(data=tmp_path)
    for make, name in ((keys.signing_key, "signing.key"), (keys.link_key, "link.key")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadSettings, match=rf"{name}: is not a key: it has {len(content)} bytes") as caught:
            make(settings)
        assert isinstance(caught.value, OSError), "which paging outlives: the page leaves without its link"
        assert path.read_bytes() == content


def test_a_public_half_of_another_key_is_named(tmp_path: Path) -> None:
    ours, theirs = load_settings(data=tmp_path / "ours"), load_settings(data=tmp_path / "theirs")
    keys.signing_key(ours)
    keys.signing_key(theirs)
    (theirs.data / "signing.pub").replace(ours.data / "signing.pub")
    with pytest.raises(BadSettings, match="not the public half"):
        keys.signing_key(ours)


def test_what_is_written_for_children_is_json_where_it_is_many() -> None:
    env = load_settings(gateway_users={"one": "a long one"}).as_env()
    assert json.loads(env["PARAMEDIC_GATEWAY_USERS"]) == {"one": "a long one"}


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize(
    "login", ["admin", "admin:", ":password", "admin:pässword", "admin:pass\x07word", "admin:pass\nword"]
)
def test_a_login_that_no_client_could_send_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, login: str) -> None:
    monkeypatch.setenv("PARAMEDIC_PREFECT_API_AUTH", login)
    with pytest.raises(BadSettings, match="PARAMEDIC_PREFECT_API_AUTH: write user:password, in ASCII") as refused:
        load_settings()
    assert "pass" not in str(refused.value).replace("user:password", "")
