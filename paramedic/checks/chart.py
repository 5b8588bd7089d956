"""A line chart of a metric's values with its thresholds, bounded in size: an SVG for browsers, blocks for a terminal."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from paramedic.checks.threshold import Threshold

#: A value, or None where nothing was seen.
Point = tuple[datetime, float | None]

#: So many columns at most, whatever is charted: each shows the worst of its values.
COLUMNS = 120

_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 200, 64, 26
_BLOCKS = "▁▂▃▄▅▆▇█"
_COLOURS = {"warning": "#b58900", "critical": "#c0392b"}


@dataclass(frozen=True, slots=True)
class Chart:
    """A metric's points, oldest first, with its title and threshold."""

    title: str
    threshold: Threshold
    points: Sequence[Point]

    def markdown(self) -> str:
        """An image without external references. Its title is data: nothing in it ends the image or the markup."""
        plain = "".join(char if char.isalnum() or char in " .-_/@:" else " " for char in self.title)[:200]
        return f"![{plain}](data:image/svg+xml;base64,{b64encode(self.svg().encode()).decode()})"

    def svg(self) -> str:
        """The SVG, with at most COLUMNS values however many there are."""
        columns = _columns(self.points, below=self.threshold.below)
        highest, bounds = self._scale(columns)
        step = (_WIDTH - _LEFT) / max(1, len(columns) - 1)

        def y(value: float) -> float:
            return _TOP + (_HEIGHT - _TOP - 20) * (1 - min(1.0, max(0.0, value / highest)))

        lines = [
            f'<text x="4" y="16" font-weight="bold">{escape(self.title[:90])}</text>',
            f'<text x="4" y="{_TOP + 8}">{escape(self.threshold.unit.spoken(highest))}</text>',
            f'<text x="4" y="{_HEIGHT - 20}">0</text>',
        ]
        for name, bound in bounds.items():
            lines.append(
                f'<path d="M{_LEFT} {y(bound):.1f}H{_WIDTH}" stroke="{_COLOURS[name]}" stroke-dasharray="4 3"/>'
                f'<text x="4" y="{y(bound) + 4:.1f}" fill="{_COLOURS[name]}">'
                f"{escape(self.threshold.unit.spoken(bound))}</text>"
            )
        for stretch in _stretches(columns):
            places = [(_LEFT + number * step, y(value)) for number, value in stretch]
            line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
            lines.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>')
            if len(places) == 1:  # a line of one point is not to be seen
                lines.append(f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="2" fill="#1f6feb"/>')
        if columns:
            ends = ((columns[0][0], _LEFT, "start"), (columns[-1][0], _WIDTH - 2, "end"))
            lines += [
                f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{at.astimezone(UTC):%H:%M:%S} UTC</text>'
                for at, x, anchor in ends
            ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            f"{''.join(lines)}</svg>"
        )

    def text(self) -> str:
        """The same for a terminal: blocks against the scale, `·` where nothing was seen, and the figures."""
        columns = _columns(self.points, below=self.threshold.below)
        seen = [value for _, value in columns if value is not None]
        if not seen:
            return f"{self.title}: nothing was seen"
        highest, _ = self._scale(columns)
        spoken = self.threshold.unit.spoken
        bar = "".join("·" if value is None else _BLOCKS[_step(value, highest)] for _, value in columns)
        first, last = (columns[end][0].astimezone(UTC) for end in (0, -1))
        return (
            f"{self.title} ({self.threshold.spoken()})\n{bar}\n"
            f"{first:%H:%M:%S} to {last:%H:%M:%S} UTC: lowest {spoken(min(seen))}, highest {spoken(max(seen))}, "
            f"last {spoken(seen[-1])}"
        )

    def _scale(self, columns: Sequence[Point]) -> tuple[float, dict[str, float]]:
        by_level = {"warning": self.threshold.warning, "critical": self.threshold.critical}
        bounds = {name: bound for name, bound in by_level.items() if bound is not None}
        values = [value for _, value in columns if value is not None]
        return max([*values, *(1.2 * bound for bound in bounds.values()), 1e-9]), bounds


def _step(value: float, highest: float) -> int:
    return min(len(_BLOCKS) - 1, int(max(0.0, value / highest) * len(_BLOCKS)))


def _columns(points: Sequence[Point], *, below: bool) -> list[Point]:
    """At most COLUMNS points: the worst of each stretch of points, None where all of them saw nothing."""
    worst = min if below else max
    size = -(-len(points) // COLUMNS) or 1
    found: list[Point] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        values = [value for _, value in part if value is not None]
        found.append((part[-1][0], worst(values) if values else None))
    return found


def _stretches(columns: Sequence[Point]) -> list[list[tuple[int, float]]]:
    """The runs of columns that have values, each with its place: where nothing was seen the line is broken."""
    found: list[list[tuple[int, float]]] = [[]]
    for number, (_, value) in enumerate(columns):
        if value is not None:
            found[-1].append((number, value))
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]
