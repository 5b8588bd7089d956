"""An API that speaks JSON on loopback, in the test's own process: what it answers is the subject of who makes one."""

import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: A status and its JSON.
Answer = tuple[int, Any]


class LocalApi(ABC):
    """Answers from the moment when it is made until it is closed, each call on a connection of its own."""

    def __init__(self) -> None:
        api = self

        class Calls(BaseHTTPRequestHandler):
            def _call(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = api.answer(self.command, self.path, json.loads(sent) if sent else None)
                if answer is None:
                    self.close_connection = True
                    return
                status, said = answer
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _call  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Calls)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @abstractmethod
    def answer(self, command: str, path: str, body: Any) -> Answer | None:
        """What is said to this call; None cuts its connection."""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
