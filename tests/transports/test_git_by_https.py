"""A repository by https: git's own server behind TLS, which asks for a token; and where that token goes."""

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gitops_shop
import pytest
from certificates import Authority
from gitops_shop import Repo

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.repository import Author, RepositoryAccess
from paramedic.machine.clock import boottime
from paramedic.text.redaction import redact
from paramedic.transports.git import Git

TOKEN = "glpat-of-the-test-0123456789"


@dataclass
class Server:
    """`git http-backend` for one repository."""

    repo: Repo
    access: RepositoryAccess
    seen: list[str] = field(default_factory=list)  # the logins that came
    status: int | None = None  # what it answers to everything
    leads_to: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server_of: Server

    def log_message(self, *_: object) -> None: ...

    def _serve(self) -> None:
        server, login = self.server_of, self.headers.get("Authorization", "")
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else self._chunks()
        server.seen.append(login)
        if server.leads_to is not None:
            self._answer("302 Found", [f"Location: {server.leads_to}{self.path}"], b"")
        elif login != "Basic " + base64.b64encode(f"git:{TOKEN}".encode()).decode():
            self._answer("401 Unauthorized", ['WWW-Authenticate: Basic realm="git"'], b"")
        elif server.status is not None:
            self._answer(f"{server.status} No", [], b"")
        else:
            self._run(body)

    def _chunks(self) -> bytes:
        found = b""
        while self.headers.get("Transfer-Encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            found += self.rfile.read(size)
            self.rfile.readline()
        return found

    def _run(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        asked = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server_of.repo.bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "git",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=asked, capture_output=True, check=True)
        head, _, text = done.stdout.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = next((line.removeprefix("Status: ") for line in lines if line.startswith("Status: ")), "200 OK")
        self._answer(status, [line for line in lines if not line.startswith("Status: ")], text)

    def _answer(self, status: str, lines: list[str], text: bytes) -> None:
        head = [f"HTTP/1.0 {status}", *lines, f"Content-Length: {len(text)}", "", ""]
        self.wfile.write("\r\n".join(head).encode() + text)

    do_GET = do_POST = _serve  # noqa: N815 - the library's names


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTPS_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issued("127.0.0.1"))
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(f"{TOKEN}\n")
    url = f"https://127.0.0.1:{http.server_address[1]}/deploy.git"
    access = RepositoryAccess(url, token=str(token), ca=str(authority.file))
    made = Server(gitops_shop.shop(tmp_path), access)
    http.RequestHandlerClass = type("Handler", (_Handler,), {"server_of": made})
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    http.shutdown()
    http.server_close()
    thread.join(5)


def fetched(access: RepositoryAccess) -> str:
    with Git(access) as copy:
        return copy.fetch("main", boottime() + 30)


def test_a_revert_goes_there_and_history_stays_whole(server: Server) -> None:
    deadline = boottime() + 60
    with Git(server.access) as copy:
        tip = copy.fetch("main", deadline)
        change = copy.last_change(tip, "apps/shop", deadline)
        copy.may_push(deadline)
        made = copy.with_older(tip, "apps/shop", change.parent or "", "Revert", Author("A", "a@b"), deadline)
        copy.push(made, "paramedic/x", deadline)
        assert copy.has("paramedic/x", made, deadline)
    assert server.repo.branches() == {"main": tip, "paramedic/x": made}
    assert server.repo.at("apps/shop/image", "paramedic/x") == "shop/api:1"
    assert server.repo.git("rev-list", "--count", "paramedic/x", at=server.repo.bare) == "4"


def test_a_login_that_is_refused_is_an_error_at_once_without_the_token(server: Server) -> None:
    Path(server.access.token or "").write_text("another-token-0123456789")
    with pytest.raises(PermanentError, match="could not read Username|Authentication failed") as no:
        fetched(server.access)
    assert "another-token" not in str(no.value)
    assert redact("it is another-token-0123456789") == "it is [secret]"


def test_the_token_follows_no_redirect(server: Server) -> None:
    server.leads_to = server.access.url.removesuffix("/deploy.git") + "/elsewhere"
    with pytest.raises((PermanentError, TemporaryError)):
        fetched(server.access)
    assert len(server.seen) == 1


@pytest.mark.parametrize(("status", "error"), [(403, PermanentError), (503, TemporaryError)])
def test_what_the_server_answers_says_whether_another_try_helps(
    server: Server, status: int, error: type[Exception]
) -> None:
    server.status = status
    with pytest.raises(error, match=str(status)):
        fetched(server.access)


def test_a_server_that_nobody_vouches_for_gets_no_token(server: Server) -> None:
    with pytest.raises(PermanentError, match="certificate"):
        fetched(RepositoryAccess(server.access.url, token=server.access.token))
    assert server.seen == []
