"""What somebody does who tries Paramedic on a service of their own: commands in a folder that `init` made, and the service."""

import os
import subprocess
from pathlib import Path

import httpx
from prefect_server import http
from whole_paramedic import PARAMEDIC

HTTP = http()

#: Answers 200 until it is told to break, and 503 from then on, until it is started again.
SHOP = """
import http.server, sys
broken = []
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/break":
            broken.append(True)
        self.send_response(503 if broken else 200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""


def answers(url: str) -> bool:
    try:
        return HTTP.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def say(folder: Path, *argv: str, well: bool = True) -> str:
    """What a command says in that folder, as somebody in another terminal has it; it ends `well`, or with 1."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PARAMEDIC_", "PREFECT_"))}
    done = subprocess.run([PARAMEDIC, *argv], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if well else 1), f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def changed(file: Path, **words: str) -> None:
    """Each of the words in the file is another now."""
    text = file.read_text()
    for before, after in words.items():
        assert before in text, f"{before} is not in {file.name}"
        text = text.replace(before, after)
    file.write_text(text)
