"""A port that was chosen for a server is that server's, before its first start and between two."""

import contextlib
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from paramedic.demo.world import free_port


def test_a_server_comes_and_goes_and_comes_again_and_meanwhile_nobody_answers() -> None:
    port = free_port()
    for _ in range(2):
        with contextlib.closing(socket.socket()) as client, pytest.raises(ConnectionRefusedError):
            client.connect(("127.0.0.1", port))
        server = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        server.server_close()


def test_whoever_has_not_been_told_of_it_cannot_have_it() -> None:
    port = free_port()
    if sys.platform == "linux":
        with contextlib.closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
