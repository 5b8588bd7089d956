"""A person with a browser: opens the link, and presses a button of the page that it shows."""

import re

import httpx
from starlette.testclient import TestClient


def press(client: TestClient, link: str, **fields: str) -> httpx.Response:
    """What the button answers; of a page without a form, what a POST is answered."""
    shown = re.search(r'name="form" value="([^"]+)"', client.get(link).text)
    answer: httpx.Response = client.post(link, data={"form": shown[1] if shown else "", **fields})
    return answer
