"""A proxy in front of a real Prefect server that answers every third call with 503, as Prefect on SQLite does under load."""

import http.client
import http.server
import threading
from typing import Any, Self
from urllib.parse import urlsplit


class BusyPrefect:
    """Forwards calls to `api`; its own `api` is the address of the proxy. A context manager.

    With `loses`, every second call that gets a 503 is carried out all the same: only its answer is lost.
    """

    def __init__(self, api: str, *, loses: bool = False) -> None:
        self._upstream = urlsplit(api)
        self._loses = loses
        self._calls = 0
        self._lock = threading.Lock()
        self.busy: list[str] = []
        proxy = self

        class Calls(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815 - the base's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Calls)

    @property
    def api(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self._server.server_port}{self._upstream.path}"

    def handle(self, call: http.server.BaseHTTPRequestHandler) -> None:
        """Answer one call."""
        body = call.rfile.read(int(call.headers.get("content-length") or 0))
        with self._lock:
            self._calls += 1
            busy = self._calls % 3 == 0 and not call.path.endswith("/health")
            if busy:
                self.busy.append(f"{call.command} {call.path}")
            passed = not busy or (self._loses and len(self.busy) % 2 == 0)
        if passed:
            try:
                answer, content = self._ask(call, body)
            except OSError:
                call.close_connection = True
                return
        if busy:
            call.send_response(503)
            content = b""
        else:
            call.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                    call.send_header(key, value)
        call.send_header("Content-Length", str(len(content)))
        call.end_headers()
        call.wfile.write(content)

    def _ask(self, call: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=30)
        headers = {key: value for key, value in call.headers.items() if key.lower() not in ("host", "connection")}
        try:
            upstream.request(call.command, call.path, body or None, headers)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
