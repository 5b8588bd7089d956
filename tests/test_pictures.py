"""The pictures of docs/operators.md: each one is there, is shown, and is small; and how `make pictures` takes one."""

import importlib.util
import json
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import pytest
from chromium import dom_of

DOCS = Path(__file__).parents[1] / "docs"

#: The colour type of a PNG whose pixels are numbers of a palette's colours (PNG specification, 11.2.2).
_OF_A_PALETTE = 3


def test_every_picture_is_shown_and_small() -> None:
    shown = re.findall(r"!\[[^]]+\]\((pictures/[^)]+)\)", (DOCS / "operators.md").read_text())
    assert sorted(shown) == sorted(str(file.relative_to(DOCS)) for file in (DOCS / "pictures").iterdir())
    sizes = [(DOCS / file).stat().st_size for file in shown]
    assert max(sizes) < 100_000
    assert sum(sizes) < 500_000


@pytest.mark.parametrize("file", sorted((DOCS / "pictures").iterdir()), ids=lambda file: file.stem)
def test_a_picture_has_a_palette_and_fits_on_a_screen(file: Path) -> None:
    width, height, _, colours = struct.unpack(">IIBB", file.read_bytes()[16:26])
    assert colours == _OF_A_PALETTE
    assert (width, height) <= (1280, 960)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, without the packages that only `make pictures` installs."""
    for name in ("PIL", "playwright"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    image = SimpleNamespace(open=lambda _: None, Dither=SimpleNamespace(NONE=0))
    monkeypatch.setitem(sys.modules, "PIL", SimpleNamespace(Image=image))  # type: ignore[arg-type]
    browser = SimpleNamespace(Page=object, sync_playwright=None)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", browser)  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Fading:
    """A page that loads without end, and whose words and charts come one after the other until `still` seconds have passed."""

    def __init__(self, still: float) -> None:
        self.now, self.still = 0.0, still
        self.done: list[str] = []

    def goto(self, _address: str, *, wait_until: str) -> None:
        assert wait_until == "commit", "it never is loaded"

    def get_by_text(self, word: str) -> Any:
        return SimpleNamespace(first=SimpleNamespace(wait_for=lambda: self.done.append(f"sees {word}")))

    def wait_for_timeout(self, milliseconds: float) -> None:
        self.now += milliseconds / 1000

    def evaluate(self, script: str, *words: str) -> str:
        if words:
            self.done.append(f"hides {words[0]}")
        elif "innerText" in script:
            assert "svg" in script, "a chart fades in behind words that stand still"
            return f"{min(self.now, self.still):.1f}"
        return ""

    def add_style_tag(self, *, content: str) -> None:
        self.done.append(content)

    def screenshot(self, *, path: Path) -> None:
        path.write_bytes(b"all of its colours")
        self.done.append(f"taken at {self.now:.0f} s")


class Shot:
    """A picture of as many colours as there are, which becomes one of a palette."""

    def __init__(self, file: Path) -> None:
        self._file, self._colours = file, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def convert(self, _mode: str) -> "Shot":
        return self

    def quantize(self, colours: int, *, dither: int) -> "Shot":
        self._colours = colours
        return self

    def save(self, file: Path, *, optimize: bool) -> None:
        file.write_text(f"{self._colours} colours{', optimized' if optimize else ''}")


def test_a_page_is_taken_once_it_stands_still_plain_without_our_folder_and_with_a_palette(
    pictures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Fading(still=5)
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    monkeypatch.setattr(pictures, "time", SimpleNamespace(monotonic=lambda: page.now))
    monkeypatch.setattr(pictures.Image, "open", Shot)
    pictures._take(page, "runs", "http://127.0.0.1/runs", "INC-1")
    assert page.done == ["sees INC-1", pictures._PLAIN, f"hides {pictures.ROOT}", "taken at 7 s"]
    assert (tmp_path / "runs.png").read_text() == "256 colours, optimized"


def test_a_page_that_never_stands_still_is_taken_all_the_same(
    pictures: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Fading(still=10_000)
    monkeypatch.setattr(pictures, "time", SimpleNamespace(monotonic=lambda: page.now))
    pictures._until_still(page)
    assert 30 <= page.now < 31


def test_a_browser_shows_neither_our_folder_nor_an_ornament(
    pictures: ModuleType, require: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(f"""\
<style>body {{ background-image: linear-gradient(red, blue) }}</style><p>run in /srv/ours/flows, /srv/ours/tasks</p><b></b>
<script>
    document.head.appendChild(document.createElement("style")).textContent = {json.dumps(pictures._PLAIN)};
    ({pictures._WITHOUT_OUR_FOLDER})("/srv/ours");
    document.querySelector("b").textContent = "ornament: " + getComputedStyle(document.body).backgroundImage;
</script>""")
    shown = dom_of(require("chromium"), f"file://{tmp_path}/page.html", tmp_path / "profile")
    assert "run in /opt/paramedic/flows, /opt/paramedic/tasks" in shown
    assert "<b>ornament: none</b>" in shown
