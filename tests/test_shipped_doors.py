"""What senders and people reach from outside is one list: in nginx's site, on the page, in compose, and in the gateway."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from production_page import PAGE
from shipped_containers import COMPOSE
from starlette.routing import Route

from paramedic.gateway import identity
from paramedic.gateway.app import make_app
from paramedic.intake.intake import Wake
from paramedic.settings import ROOT, Settings
from paramedic.store import Store

SITE = ROOT / "deployments" / "nginx" / "paramedic.conf"

#: What probes, Prometheus and other processes ask: on loopback, or by a door of one's own.
INSIDE = {"/healthz", "/readyz", "/metrics", identity.PATH, "/openapi.json"}


def public() -> set[str]:
    """The folders and addresses of the public door."""
    [door] = re.findall(r"server \{\n  listen 443 ssl;.*?\n\}", SITE.read_text(), re.DOTALL)
    locations = re.findall(r"location (.*?) \{", door)
    assert locations[1:] == ["/"]
    assert "location / { return 404; }" in door
    [(folders, addresses)] = re.findall(r"^~ \^/\(\(([a-z|]+)\)/\|([a-z]+)\$\)$", locations[0])
    return {f"/{name}/" for name in folders.split("|")} | {f"/{addresses}"}


def test_every_route_of_the_gateway_is_public_or_is_for_inside(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    app: Any = make_app(settings, Store(settings.store()), wake=Wake(), alive=lambda: True)
    while not isinstance(app, FastAPI):
        app = app._app
    paths = {route.path for route in app.routes if isinstance(route, Route)} - INSIDE
    assert {path if path.count("/") == 1 else f"/{path.split('/')[1]}/" for path in paths} == public()


@pytest.mark.parametrize("text", [PAGE.read_text(), (COMPOSE / "compose.yaml").read_text()], ids=["page", "compose"])
def test_the_page_and_compose_name_what_the_site_passes(text: str) -> None:
    lists = re.findall(r"`?/alerts/`?, [^.;:]*", text)
    assert lists
    for written in lists:
        assert set(re.findall(r"/[a-z]+/?", written)) == public(), written
