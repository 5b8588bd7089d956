"""A chart of values: what was worst is seen, what was not seen is a gap, and nothing in it grows or runs."""

import base64
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from paramedic.checks.chart import COLUMNS, Chart
from paramedic.checks.threshold import Threshold
from paramedic.text.quantity import Unit

NINE = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
LATENCY = Threshold("latency_p95", Unit.SECONDS, 0.2, 0.3, timedelta(minutes=1), 0.1)
SVG = "{http://www.w3.org/2000/svg}"


def chart(
    *values: float | None, title: str = "latency_p95 of web-1/tracking-api", threshold: Threshold = LATENCY
) -> Chart:
    return Chart(
        title, threshold, [(NINE + number * timedelta(seconds=15), value) for number, value in enumerate(values)]
    )


def test_values_and_bounds_are_drawn_and_a_gap_breaks_the_line() -> None:
    drawn = ET.fromstring(chart(0.1, 0.2, None, None, 0.3, 0.35).svg())
    assert [len(line.get("points", "").split()) for line in drawn.iter(f"{SVG}polyline")] == [2, 2]
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"200ms", "300ms", "09:00:00 UTC", "09:01:15 UTC"} <= set(words)
    assert len(list(drawn.iter(f"{SVG}path"))) == 2


def test_a_single_value_is_a_dot() -> None:
    assert len(list(ET.fromstring(chart(0.1).svg()).iter(f"{SVG}circle"))) == 1


def test_the_worst_of_many_values_stays_to_be_seen() -> None:
    values = [0.1] * 5000
    values[2345] = 0.9
    assert "highest 900ms" in chart(*values).text()
    assert len(chart(*values).svg()) < 8_000
    low = Threshold("expires_in", Unit.SECONDS, 10, 5, timedelta(0), 0.1, below=True)
    values[2345] = 0.01
    assert "lowest 10ms" in chart(*values, threshold=low).text()


def test_the_text_has_a_block_a_value_and_the_figures() -> None:
    assert chart(0.0, 0.36, None, 0.18).text().splitlines() == [
        "latency_p95 of web-1/tracking-api (warning 200ms, critical 300ms)",
        "▁█·▅",
        "09:00:00 to 09:00:45 UTC: lowest 0ms, highest 360ms, last 180ms",
    ]
    assert chart(None).text() == "latency_p95 of web-1/tracking-api: nothing was seen"


def test_a_title_is_data() -> None:
    hostile = 'a](javascript:x) <script>alert(1)</script> "\n\n# b'
    made = chart(0.1, title=hostile)
    assert "<script>" not in made.svg()
    ET.fromstring(made.svg())
    label, _, rest = made.markdown().partition("](data:image/svg+xml;base64,")
    assert not set("]()<>\n#") & set(label[2:])
    assert base64.b64decode(rest.removesuffix(")")).decode() == made.svg()


@given(st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), max_size=400))
def test_whatever_was_measured_the_picture_is_whole_and_bounded(values: list[float | None]) -> None:
    made = chart(*values)
    drawn = ET.fromstring(made.svg())
    assert sum(len(line.get("points", "").split()) for line in drawn.iter(f"{SVG}polyline")) <= COLUMNS
    assert len(made.markdown()) < 16_000
    assert len(made.text()) < 500
