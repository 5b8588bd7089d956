"""Credential plug-ins of a kubeconfig: small programs, as they are, at an API server that asks who comes."""

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from kubernetes_api import TOKEN, ApiServer, Fault, api
from kubernetes_login import BETA, PATH, V1, Login, answer, by_tls, in_, in_the_past, plugin_of
from required import missing
from tls_engine import strict
from waiting import until

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text.redaction import forget_all, redact
from paramedic.transports import kubernetes_plugin

__all__ = ["api"]


@pytest.fixture(autouse=True)
def _no_secrets() -> Iterator[None]:
    yield
    forget_all()


@pytest.fixture
def login(api: ApiServer, tmp_path: Path) -> Login:
    return Login(tmp_path, f"http://127.0.0.1:{api.port}")


@pytest.mark.parametrize("version", [V1, BETA])
def test_its_token_logs_in_and_one_run_serves_every_request(login: Login, version: str) -> None:
    login.write(apiVersion=version, interactiveMode=None if version == BETA else "IfAvailable")
    login.says(answer(version))
    assert [login.ask() for _ in range(3)] == [200, 200, 200]
    assert login.runs == 1
    assert login.way.who == f"by the plug-in {login.program} of {login.file}"
    assert redact(f"said {TOKEN}").count(TOKEN) == 0


def test_many_who_ask_at_once_wait_for_one_run(login: Login) -> None:
    login.says(answer(), before="sleep 0.3")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: login.ask(), range(8))) == {200}
    assert login.runs == 1


# --- until when a login serves ---


def test_what_ends_soon_is_renewed_by_a_look_and_not_by_a_change(login: Login, api: ApiServer) -> None:
    login.says(*[answer(token=TOKEN, expirationTimestamp=in_(3600))] * 2)
    assert login.ask() == 200
    plugin = plugin_of(login)
    plugin._kept = kubernetes_plugin.Credential(TOKEN, None, datetime.now(UTC) + timedelta(seconds=30), in_the_past())
    assert login.patch(api) == 200
    assert login.runs == 1, "a change uses what is good for a while still"
    assert login.ask() == 200
    assert login.runs == 2


def test_what_has_ended_is_never_sent(login: Login, api: ApiServer) -> None:
    login.says(answer(token=TOKEN, expirationTimestamp=in_(3600)))
    assert login.ask() == 200
    plugin_of(login)._kept = kubernetes_plugin.Credential("ended", None, in_the_past())
    assert login.patch(api) == 200
    assert login.runs == 2


def test_one_without_an_end_serves_until_a_401_which_a_look_does_not_see(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_plugin, "_REST", 0.0)
    login.says(answer(token="of-yesterday-123456"), answer())
    assert login.ask() == 200
    assert login.runs == 2


def test_a_change_is_sent_once_and_the_next_look_has_a_new_login(
    login: Login, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_plugin, "_REST", 0.0)
    login.says(answer(token="of-yesterday-123456"), answer())
    assert login.patch(api) == 401
    assert [request.method for request in api.requests] == ["PATCH"]
    assert login.ask() == 200
    assert login.runs == 2


def test_a_server_that_does_not_know_a_new_login_does_not_have_the_plug_in_run_for_each_request(
    login: Login, api: ApiServer
) -> None:
    api.faults.append(Fault("GET", 401, times=9))
    assert [login.ask() for _ in range(3)] == [401] * 3
    assert login.runs == 1


def test_what_was_to_be_renewed_serves_on_where_the_plug_in_fails(login: Login) -> None:
    login.says(answer(token=TOKEN, expirationTimestamp=in_(3600)))
    assert login.ask() == 200
    plugin_of(login)._kept = kubernetes_plugin.Credential(
        TOKEN, None, datetime.now(UTC) + timedelta(seconds=30), in_the_past()
    )
    login.says("", code=1)
    assert login.ask() == 200
    assert login.runs == 2


# --- bounds ---


def test_a_slow_one_is_unknown_for_who_has_no_time_and_serves_the_next(login: Login) -> None:
    login.says(answer(), before=f"until [ -e {login.folder}/go ]; do sleep 0.05; done")
    with pytest.raises(TemporaryError, match="has not answered yet"):
        login.ask(seconds=0.3)
    (login.folder / "go").touch()
    until("it has answered", lambda: plugin_of(login)._kept)
    assert login.ask(seconds=5) == 200
    assert login.runs == 1


def test_one_that_hangs_is_ended_and_a_child_of_its_too(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_plugin, "LONGEST", 0.5)
    login.says(answer(), before=f"sleep 600 & echo $! > {login.folder}/child; wait")
    with pytest.raises(TemporaryError, match="gave no answer within 0 s|gave no answer within 1 s"):
        login.ask()
    child = int((login.folder / "child").read_text())
    until("its child is gone", lambda: not is_running(child), 20)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_one_that_prints_on_and_on_is_bounded(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_plugin, "LONGEST", 3.0)
    login.says(answer(), before="yes SECRET-AND-LONG-0123456789 | head -c 30000000")
    with pytest.raises(PermanentError, match="printed no ExecCredential") as no:
        login.ask()
    assert "SECRET" not in str(no.value)


def test_one_that_fails_is_not_run_for_each_who_asks(login: Login) -> None:
    login.says("", before="echo 'The SSO session has expired: run aws sso login' >&2", code=255)
    for _ in range(3):
        with pytest.raises(TemporaryError, match=r"aws of .* failed \(exit code 255\): The SSO session has expired"):
            login.ask()
    assert login.runs == 1


# --- what it is given ---


def test_its_arguments_are_a_list_and_nothing_is_a_shell_s(login: Login) -> None:
    args = ["--cluster", "$(touch /tmp/x); `id` 'a'", "", "--help"]
    login.says(answer(), before=f'printf "%s\\n" "$@" > {login.folder}/args')
    login.write(args=args)
    assert login.ask() == 200
    assert (login.folder / "args").read_text().split("\n")[:-1] == args


def test_its_environment_is_ours_without_what_is_paramedic_s(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_SMTP_URL", "smtp://ada:secret@mail")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
    monkeypatch.setenv("AWS_PROFILE", "ours")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    login.says(answer(), before=f"env > {login.folder}/env; cat > {login.folder}/stdin")
    login.write(env=[{"name": "AWS_PROFILE", "value": "prod"}])
    assert login.ask() == 200
    found = dict(line.split("=", 1) for line in (login.folder / "env").read_text().splitlines())
    assert (found["AWS_PROFILE"], found["AWS_REGION"], found["HOME"]) == ("prod", "eu-central-1", os.environ["HOME"])
    assert not [name for name in found if name.startswith(("PARAMEDIC_", "PREFECT_"))]
    assert json.loads(found["KUBERNETES_EXEC_INFO"]) == {
        "kind": "ExecCredential",
        "apiVersion": V1,
        "spec": {"interactive": False},
    }
    assert (login.folder / "stdin").read_text() == "", "nobody is at its terminal"


def test_it_is_told_of_the_cluster_where_it_asks_for_that(login: Login, tmp_path: Path) -> None:
    authority = Authority(tmp_path).file
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "06e3fbd18de8"}}
    more = {"certificate-authority": authority.name, "tls-server-name": "api", "extensions": [extension]}
    login.write(cluster=more, provideClusterInfo=True)
    plugin = login.way.plugin
    assert plugin is not None
    found = json.loads(plugin._environment()["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
    assert found.pop("certificate-authority-data").startswith("LS0tLS1CRUdJTi")
    assert found == {"server": login.server, "tls-server-name": "api", "config": {"audience": "06e3fbd18de8"}}


@pytest.mark.parametrize("where", ["beside", "path"])
def test_a_path_is_relative_to_the_file_and_a_bare_name_is_of_the_path(
    login: Login, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "path":
        monkeypatch.setenv("PATH", f"{login.folder}{os.pathsep}{os.environ['PATH']}")
    login.write(command="./aws" if where == "beside" else "aws")
    assert login.ask() == 200


# --- what is refused ---


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            {"apiVersion": "client.authentication.k8s.io/v1alpha1"},
            "v1alpha1.*bring the kubeconfig and its plug-in up to date",
        ),
        ({"interactiveMode": None}, "needs `interactiveMode`"),
        ({"interactiveMode": "Always"}, "asks a person at a terminal"),
        ({"interactiveMode": "Sometimes"}, r"is no kubeconfig: users\.0\.user\.exec\.interactiveMode"),
        ({"command": ""}, r"is no kubeconfig: users\.0\.user\.exec\.command"),
        ({"args": "get-token"}, r"is no kubeconfig: users\.0\.user\.exec\.args"),
        ({"user": {"token": "abc"}}, "has `exec` and another login"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(login: Login, words: dict[str, Any], why: str) -> None:
    login.write(**words)
    with pytest.raises(PermanentError, match=why):
        login.ask()
    assert login.runs == 0


def test_a_file_that_others_can_change_runs_nothing(login: Login) -> None:
    login.folder.chmod(0o777)
    try:
        with pytest.raises(PermanentError, match="names a program to run: .* can be changed by other users"):
            login.ask()
    finally:
        login.folder.chmod(0o700)
    assert login.runs == 0


def test_one_that_is_not_there_is_told_with_its_author_s_hint(login: Login) -> None:
    login.write(command="no-such-plugin", installHint="install it:\n  brew install\x1b[2J kubelogin")
    with pytest.raises(PermanentError, match="no-such-plugin of .* is not on this machine.*install it: brew") as no:
        login.ask()
    assert "\x1b" not in str(no.value)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "printed no ExecCredential"),
        ("eyJ-a-token-and-nothing-else", "printed no ExecCredential"),
        ('{"token": "a-secret-token-1234"}', "printed no ExecCredential: kind"),
        (answer(BETA), "was asked for .*v1, and printed .*v1beta1"),
        (answer(token=""), "neither a token nor a client certificate"),
        (answer(expirationTimestamp="2030-01-01T00:00:00Z"), "neither a token nor a client certificate"),
        (answer(clientCertificateData="a-secret-cert"), "a client certificate without its key"),
        (answer(token="a-secret-token-1234", expirationTimestamp="at dinner"), r"status\.expirationTimestamp"),
        (answer(token=["a-secret-token-1234"]), r"status\.token"),
    ],
)
def test_what_is_no_answer_is_said_without_a_word_of_it(
    login: Login, text: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login.says(text)
    with pytest.raises(PermanentError, match=why) as no:
        login.ask()
    shown = "".join(traceback.format_exception(no.value)) + caplog.text
    assert "a-secret" not in shown
    assert "eyJ" not in shown


def test_a_token_in_what_it_complains_of_is_not_shown(login: Login) -> None:
    login.says(answer())
    assert login.ask() == 200
    login.write(args=["again"])
    login.says("", before=f"echo 'cannot renew {TOKEN}' >&2", code=1)
    with pytest.raises(TemporaryError, match="cannot renew") as no:
        login.ask()
    assert TOKEN not in str(no.value)


# --- certificates ---


def test_what_is_secret_of_a_login_is_not_shown_with_it() -> None:
    login = kubernetes_plugin.Credential("a-planted-token", b"a planted key")
    assert "planted" not in repr(login)
    status = kubernetes_plugin._Status(token="a-planted-token", clientKeyData="a planted key")
    assert "planted" not in repr(status)


def test_a_certificate_logs_in_and_another_one_after_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    def pair(name: str) -> str:
        certificate, key = authority.issued(name)
        return answer(
            clientCertificateData=certificate.read_text(), clientKeyData=key.read_text(), expirationTimestamp=in_(3600)
        )

    (folder := tmp_path / "login").mkdir()
    with by_tls(strict(authority, tmp_path)) as (port, shown):
        login = Login(folder, f"https://127.0.0.1:{port}")
        login.write(cluster={"certificate-authority": str(authority.file)})
        login.says(pair("first"), pair("second"))
        assert login.ask() == 200
        kept = plugin_of(login)._kept
        assert kept is not None
        plugin_of(login)._kept = kubernetes_plugin.Credential(None, kept.pair, in_the_past())
        assert login.ask() == 200
        assert login.ask() == 200
    assert shown == ["first", "second", "second"]
    assert login.runs == 2


def test_a_certificate_that_cannot_be_read_is_said_without_its_key(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (folder := tmp_path / "login").mkdir()
    login = Login(folder, "https://127.0.0.1:1")
    login.write(cluster={"certificate-authority": str(authority.file)})
    login.says(answer(clientCertificateData="no certificate", clientKeyData="a-secret-key-123456"))
    with pytest.raises(PermanentError, match="client certificate or key cannot be read") as no:
        login.ask()
    assert "a-secret-key" not in str(no.value)


# --- where nothing may be written ---

_READ_ONLY = """\
set -e
mount --make-rprivate /
for at in / "$1"; do mount --bind "$at" "$at"; mount -o remount,bind,ro "$at"; done
shift
exec "$@"
"""

_ASKS = """\
import errno, pathlib, sys
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host, KubernetesAccess
from paramedic.transports.kubernetes import Kubernetes
try:
    (pathlib.Path(sys.argv[1]).parent / "written").touch()
except OSError as error:
    assert error.errno == errno.EROFS
else:
    sys.exit("it may write")
print(Kubernetes(Host("prod", kubernetes=KubernetesAccess(sys.argv[1]))).ask("GET", sys.argv[2], boottime() + 60).status)
"""


def test_it_needs_nothing_that_it_may_write(login: Login) -> None:
    """As under the shipped unit: all of the machine is read-only, and so is the home of its user."""
    if os.geteuid() != 0:
        missing("only root can make a machine read-only for a test")
    login.program.write_text(f"#!/bin/sh\ncat {login.folder}/says-1\n")
    words = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(login.folder)]
    asks = [sys.executable, "-P", "-B", "-c", _ASKS, str(login.file), PATH]
    done = subprocess.run([*words, *asks], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr
