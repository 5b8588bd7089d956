"""A server that takes webhooks, holds them to their contract, and answers as it is told."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a secret that both sides know").decode()


def is_signed(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """What a receiver does, by the specification's words: msg_id.timestamp.payload, HMAC-SHA256, base64, one of several."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(base64.b64decode(secret[len("whsec_") :]), signed, hashlib.sha256).digest()
    given = [part.partition(",") for part in headers["webhook-signature"].split(" ")]
    return any(
        version == "v1" and hmac.compare_digest(base64.b64decode(signature), mac) for version, _, signature in given
    )


class Hooks:
    """Keeps what was posted: its path, headers and JSON. `says` is the status of the answer, `with_headers` more of it."""

    def __init__(self) -> None:
        self.says = 204
        self.with_headers: dict[str, str] = {}
        self.with_body = b""
        self.arriving: Callable[[], None] | None = None
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        hooks = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.posted.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                if hooks.arriving:
                    hooks.arriving()
                self.send_response(hooks.says)
                for name, value in hooks.with_headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(hooks.with_body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.at = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.at}/hook?a=1"

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The bodies, in order."""
        return [json.loads(body) for _, _, body in self.posted]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
