"""The second host of docs/hosts.md, as its reader types it: a fresh machine, whose unit fails and is healed by SSH."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fresh_host import FreshHost, fresh_host, types
from mail_server import Postbox
from network_stage import entered, network
from newcomer import changed, say
from waiting import until
from whole_paramedic import PARAMEDIC, running

pytestmark = pytest.mark.real

PAGE = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Page:
    """The steps of the page, with the reader's own words in place of the page's."""

    words: dict[str, str]

    def blocks(self, language: str) -> list[str]:
        """What is to be typed, or written to a file, in the order of the page. Each of the reader's words is somewhere in it."""
        section = PAGE.partition("\n## A second host in ten minutes\n")[2].partition("\n## `ssh`\n")[0]
        for page, reader in self.words.items():
            assert page in section, f"the page does not say {page!r}"
            section = section.replace(page, reader)
        return re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


@pytest.fixture
def host(require: Callable[[str], str]) -> Iterator[FreshHost]:
    """The host of the page at the address of the page; the test is on another machine of its network."""
    with network(require) as net:
        web, here = net.machine("web-7", "10.0.0.7/24"), net.machine("here", "10.0.0.1/24")
        with entered(here), fresh_host(require, web) as made:
            yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything in it, of whoever types."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{Path(PARAMEDIC).parent}{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.fixture
def page(home: Path) -> Page:
    """Another home, and a unit that need not stay well for a minute: all else is as the page has it."""
    return Page({"/home/ada/": f"{home}/", "stable: 1m": "stable: 1s"})


def fingerprints(text: str) -> list[str]:
    return re.findall(r"SHA256:[\w+/]+", text)


def test_a_unit_on_a_fresh_host_is_healed_by_typing_what_the_page_says(
    host: FreshHost, home: Path, page: Page, postbox: Postbox
) -> None:
    here, there, runbook, outage, alert = page.blocks("sh")
    [services] = page.blocks("yaml")
    folder = home / "paramedic"
    types("paramedic init ~/paramedic")
    changed(
        folder / "paramedic.toml",
        **{'# smtp_url = "smtp://user:password@mail.example.org:587"': f'smtp_url = "{postbox.url}"'},
    )

    typed = types(here)
    [theirs] = fingerprints(typed)
    [line] = [line for line in typed.splitlines() if line.startswith("ssh-ed25519 ")]
    placeholder = "ssh-ed25519 AAAA… paramedic"
    assert placeholder in there
    assert fingerprints(host.types(there.replace(placeholder, line))) == [theirs]
    changed(folder / "runbooks" / "services.yaml", **{"services:\n": services})
    assert "reached as paramedic by" in types(runbook, folder)

    with running(folder, "up") as up:
        up.says("logs  ")
        host.types(outage)
        until("its failure", lambda: not host.answers())
        types(alert, folder)
        until("its verified end", lambda: "remediated" in say(folder, "incident", "list"))
        assert host.answers()
        shown = say(folder, "incident", "show", "INC-1")
        assert "restarted web-7/tracking-api.service: done, and it helped" in shown
        until("the mail", lambda: postbox.letters)
        assert "TrackingApiDown, remediated (INC-1)" in postbox.letters[0]["Subject"]
        assert "GET /health" in say(folder, "incident", "show", "INC-1", "--evidence"), "the unit's journal"
        host.types("rm /etc/sudoers.d/paramedic")
        [granted] = re.findall(r"^echo '(paramedic ALL=.*)' >", there, re.MULTILINE)
        assert f"lacks a line in its sudoers: `{granted}`" in say(folder, "doctor", well=False)
