"""How an API server is reached: what a kubeconfig says, and what of it is refused."""

import base64
import json
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_api
import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.text.redaction import forget_all, redact
from paramedic.transports import kubernetes_config
from paramedic.transports.kubernetes import Kubernetes

TOKEN = "eyJhbGciOiJub25lIn0.of-a-service-account"


@pytest.fixture(autouse=True)
def _no_secrets() -> Iterator[None]:
    yield
    forget_all()


def written(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    file = kubernetes_api.kubeconfig(folder, "https://10.0.0.1:6443", token=TOKEN)
    found = json.loads(file.read_text())
    found["clusters"][0]["cluster"] |= cluster or {}
    found["users"][0]["user"] = {"token": TOKEN} if user is None else user
    file.write_text(json.dumps(found))
    return file


def way(file: Path, context: str | None = None) -> kubernetes_config.Way:
    return kubernetes_config.way(KubernetesAccess(str(file), context))


def test_a_token_is_used_and_known_as_a_secret(tmp_path: Path) -> None:
    found = way(written(tmp_path))
    assert (found.server, found.token(), found.tls_name) == ("https://10.0.0.1:6443", TOKEN, None)
    assert redact(f"said {TOKEN}") == "said [redacted]" or TOKEN not in redact(f"said {TOKEN}")


def test_the_token_of_a_file_is_read_again_for_each_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the-first-token\n")
    found = way(written(tmp_path, user={"tokenFile": "token"}))
    assert found.token() == "the-first-token"
    (tmp_path / "token").write_text("the-second-token\n")
    assert found.token() == "the-second-token"
    (tmp_path / "token").unlink()
    with pytest.raises(PermanentError, match="token cannot be read"):
        found.token()


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        ({"insecure-skip-tls-verify": True}, None, "whoever answers would be believed"),
        ({"proxy-url": "http://proxy:3128"}, None, "`proxy-url` is not supported"),
        ({"server": "http://10.0.0.1:6443"}, None, "nothing is sent in the clear"),
        ({"server": "ftp://127.0.0.1"}, None, "nothing is sent in the clear"),
        ({"server": "http://localhost.example:80"}, None, "nothing is sent in the clear"),
        ({"certificate-authority-data": "%%%"}, None, "is no base64"),
        (
            {"certificate-authority-data": base64.b64encode(b"no").decode()},
            None,
            "certificate-authority cannot be read",
        ),
        ({"certificate-authority": "gone.crt"}, None, r"gone\.crt cannot be read"),
        ({}, {"exec": {"command": "aws"}}, r"is no kubeconfig: users\.0\.user\.exec\.apiVersion"),
        ({}, {"auth-provider": {"name": "gcp"}}, "`auth-provider` is not supported"),
        ({}, {"as": "admin", "token": TOKEN}, "`as` is not supported"),
        ({}, {"username": "ada", "password": "x"}, "no API server takes a password"),
        (
            {},
            {"client-certificate-data": "bm8=", "client-key-data": "bm8="},
            "client certificate or key cannot be read",
        ),
    ],
)
def test_what_is_not_safe_or_not_known_is_refused_in_words(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any] | None, words: str
) -> None:
    with pytest.raises(PermanentError, match=words) as no:
        way(written(tmp_path, cluster=cluster, user=user))
    assert TOKEN not in str(no.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no YAML"),
        ("[]", "is no kubeconfig"),
        ("clusters: 7", "is no kubeconfig: clusters"),
        ("current-context: prod", "has no context 'prod'"),
        ("clusters: []", "has no `current-context`"),
        ("contexts: [{name: a, context: {cluster: c, user: u}}]\ncurrent-context: a", "the file does not have"),
        ("users: [{name: u, user: {token: [secret-in-a-list]}}]", "is no kubeconfig: users.0.user.token"),
    ],
)
def test_a_file_that_is_no_kubeconfig_says_where(tmp_path: Path, text: str, words: str) -> None:
    (file := tmp_path / "kubeconfig").write_text(text)
    file.chmod(0o600)
    with pytest.raises(PermanentError, match=words) as no:
        way(file)
    assert "secret-in-a-list" not in "".join(traceback.format_exception(no.value))


def test_a_context_is_chosen_by_name(tmp_path: Path) -> None:
    assert way(written(tmp_path), "prod").server == "https://10.0.0.1:6443"
    with pytest.raises(PermanentError, match=r"has no context 'test': write `context`; there are: prod"):
        way(written(tmp_path), "test")


def test_a_kubeconfig_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (file := written(tmp_path)).chmod(0o640)
    with pytest.raises(PermanentError, match=f"chmod 600 {re.escape(str(file))}"):
        way(file)


def test_in_no_pod_there_is_no_cluster_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(PermanentError, match="runs in no pod"):
        kubernetes_config.way(KubernetesAccess())


def test_in_a_pod_its_service_account_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_config, "POD", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("of-the-pod-1")
    with pytest.raises(PermanentError, match=r"ca\.crt cannot be read"):
        kubernetes_config.way(KubernetesAccess())
    authority = next(Path(os.environ.get("SSL_CERT_DIR", "/etc/ssl/certs")).glob("*.crt"))
    (tmp_path / "ca.crt").write_bytes(authority.read_bytes())
    found = kubernetes_config.way(KubernetesAccess())
    assert (found.server, found.token()) == ("https://[fd00::1]:443", "of-the-pod-1")


def test_a_server_that_is_not_there_may_be_there_in_a_moment(tmp_path: Path) -> None:
    file = kubernetes_api.kubeconfig(tmp_path, "http://127.0.0.1:9")
    cluster = Kubernetes(Host("prod", kubernetes=KubernetesAccess(str(file))))
    with pytest.raises(TemporaryError, match="the API server of prod is not reached"):
        cluster.ask("PATCH", "/x", boottime() + 5, body={})
    with pytest.raises(TemporaryError, match="no time left"):
        cluster.ask("GET", "/x", boottime() - 1)


def test_a_renewed_file_is_used(tmp_path: Path) -> None:
    with kubernetes_api.serving() as api:
        file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}", token="ended-long-ago")
        cluster = Kubernetes(kubernetes_api.cluster(file))
        assert cluster.ask("GET", "/version", boottime() + 5).status == 401
        kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        assert cluster.ask("GET", "/version", boottime() + 5).status == 200


def test_a_cluster_has_no_machine(tmp_path: Path) -> None:
    cluster = Kubernetes(Host("prod", kubernetes=KubernetesAccess(str(written(tmp_path)))))
    assert (cluster.machine, cluster.by_sudo, cluster.leads_to("prod"), cluster.leads_to("web-1")) == (
        "prod",
        False,
        True,
        False,
    )
    for asked in (
        lambda: cluster.run(["true"], 0),
        lambda: cluster.command(["true"]),
        lambda: cluster.folder("/"),
        lambda: cluster.tail("/log"),
        lambda: cluster.read("/file"),
        lambda: cluster.replace("/file", b""),
        lambda: cluster.processes,
    ):
        with pytest.raises(PermanentError, match="prod is a cluster, which has no"):
            asked()
