"""The certificate of a Prefect API is verified by the variables of Prefect's own client."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from certificates import Authority
from prefect.settings import get_current_settings, temporary_settings

from paramedic.cli import doctor_prefect
from paramedic.errors import PermanentError
from paramedic.settings import Settings
from paramedic.transports.prefect_http import PrefectApi, complaint
from paramedic.transports.prefect_tls import CERT_FILE, SKIP_VERIFY, Verification


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    for name in (CERT_FILE, SKIP_VERIFY, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Authority(tmp_path)


@pytest.fixture
def api(authority: Authority) -> Iterator[PrefectApi]:
    with authority.serving("localhost", datetime.now(UTC) + timedelta(days=30)) as port:
        yield PrefectApi(f"https://localhost:{port}/api")


def _status(api: PrefectApi) -> int:
    with api.client(seconds=5) as prefect:
        return prefect.get("/health").status_code


def _complaint(api: PrefectApi) -> str | None:
    with api.client(seconds=5) as prefect:
        return complaint(prefect)


def test_an_authority_that_no_variable_names_is_refused_and_the_variable_is_named(api: PrefectApi) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        _status(api)
    found = _complaint(api)
    assert found is not None
    assert found.startswith("its certificate is not trusted (")
    assert "public authorities" in found
    assert CERT_FILE in found


@pytest.mark.parametrize("variable", [CERT_FILE, "SSL_CERT_FILE"])
def test_the_file_of_prefects_own_client_names_the_authorities(
    api: PrefectApi, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority.file))
    assert _status(api) == 200
    assert str(Verification.configured()) == f"its certificate is verified by {authority.file} ({variable})"


def test_a_certificate_for_another_host_is_refused_by_a_trusted_authority(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CERT_FILE, str(authority.file))
    with authority.serving("elsewhere.example", datetime.now(UTC) + timedelta(days=30)) as port:
        found = _complaint(PrefectApi(f"https://localhost:{port}/api"))
    assert found is not None
    assert str(authority.file) in found


@pytest.mark.parametrize(("value", "skipped"), [("1", True), ("True", True), ("yes", True), ("0", False), ("", False)])
def test_what_prefect_reads_as_true_skips_the_verification(
    api: PrefectApi, monkeypatch: pytest.MonkeyPatch, value: str, *, skipped: bool
) -> None:
    monkeypatch.setenv(SKIP_VERIFY, value)
    assert Verification.configured().skipped is skipped
    assert (_complaint(api) or "").startswith("its certificate is not trusted") is not skipped
    if value:
        with temporary_settings():
            assert get_current_settings().api.tls_insecure_skip_verify is skipped, "as Prefect's own client does"


def test_a_file_that_holds_no_certificates_is_named(
    api: PrefectApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (None, "no certificate\n"):
        file = tmp_path / "missing.pem"
        if content is not None:
            file.write_text(content)
        monkeypatch.setenv(CERT_FILE, str(file))
        with pytest.raises(PermanentError, match=f"{CERT_FILE}: {file} holds no certificates"):
            _status(api)


def test_plain_http_reads_no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CERT_FILE, "/nowhere/ca.pem")
    PrefectApi("http://localhost:1/api").client(seconds=1).close()


def test_doctor_says_what_the_certificate_is_verified_by(
    api: PrefectApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def words() -> str:
        found = doctor_prefect.prefect(Settings(data=tmp_path / "data", prefect_api_url=api.url))
        assert not found.well, "what answers here is not Prefect's API"
        return found.words

    assert f"the certificate of {api.url}" in words()
    assert CERT_FILE in words()
    monkeypatch.setenv(CERT_FILE, str(tmp_path / "missing.pem"))
    assert f"{CERT_FILE}: {tmp_path}/missing.pem" in words()
    assert "Prefect does not say" in doctor_prefect.acting(Settings(data=tmp_path, prefect_api_url=api.url)).words
    monkeypatch.setenv(CERT_FILE, str(authority.file))
    assert words().endswith(f"; its certificate is verified by {authority.file} ({CERT_FILE})")
    monkeypatch.setenv(SKIP_VERIFY, "true")
    assert "not verified" in words()
