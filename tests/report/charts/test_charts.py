import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.report.charts import charts, run_charts, svg
from dyadic.report.charts.charts import Point, Series
from dyadic.report.charts.heat_map import heat_map
from dyadic.report.charts.run_charts import Panel

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3))


@given(finite, finite)
def test_ticks_are_round_inside_the_range_and_about_as_many_as_asked(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = svg.ticks(low, high, 5)
    slack = 1e-6 * max(abs(low), abs(high), 1e-3)
    assert all(low - slack <= t <= high + slack for t in found)
    assert len(found) <= 7
    steps = np.diff(found)
    assert np.allclose(steps, steps[0]) if len(steps) else True


@given(st.lists(finite, min_size=1, max_size=12), st.floats(1, 20))
def test_spread_labels_keep_their_order_and_their_distance(ys: list[float], gap: float) -> None:
    placed = svg.spread(ys, gap, -1e7, 1e7)
    by_height = [placed[i] for i in sorted(range(len(ys)), key=ys.__getitem__)]
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(by_height))


def test_text_is_escaped() -> None:
    assert svg.text("<b> & 'c'", 0.0, 0.0) == (
        '<text class="label" x="0" y="0">&lt;b&gt; &amp; &#x27;c&#x27;</text>'
    )
    assert "&quot;" in svg.tag("g", title='"')


def series() -> list[Series]:
    return [
        Series("inq", 0, [Point(3, 91.0, 0.1, "inq, 3 bits"), Point(4, 92.0)]),
        Series("log2 <x>", 4, [Point(3, 10.0), Point(4, 91.5)]),
    ]


def histogram() -> str:
    counts, edges = np.histogram(np.linspace(-1, 1, 500), bins=64)
    return run_charts.histogram((counts, edges), (counts, edges / 9), edges[::8], "fc", "9 levels")


CHARTS = {
    "lines": lambda: charts.lines(series(), "bits", "top-1, %", "d", (92.5, "float"), 90.0),
    "scatter": lambda: charts.scatter(series(), [(3, 91.0, "inq 3")], "MiB", "top-1, %", "d"),
    "whole": lambda: charts.scatter(series()[:1], [], "bits", "drop", "d", whole=True),
    "layers": lambda: run_charts.layers(
        ["conv1", "fc"],
        [Panel("bits", [4, 8], 0), Panel("sensitivity", [1e-3, float("nan")], kind="dot")],
        "d",
    ),
    "histogram": histogram,
    "training": lambda: run_charts.training(
        [0, 1, 2],
        [90.0, float("nan"), 91.0],
        [0.5, 1, 1],
        [0.3, 0.6, 1],
        ["freeze 50 %", "", ""],
        92.0,
        "d",
    ),
    "heat_map": lambda: heat_map(np.array([[9, 1], [0, 7]]), ["cat", "dog"], "d"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_well_formed_described_and_has_no_nan(name: str) -> None:
    drawing = CHARTS[name]()
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert len(root) > 1
    assert not re.search(r"\bnan\b|\binf\b", drawing)


def test_bits_are_whole_ticks() -> None:
    shown = re.findall(r'class="tick"[^>]*>([^<]+)<', CHARTS["whole"]())
    assert {"3", "4"} <= set(shown)
    assert "3.5" not in shown


def test_a_fallen_point_stands_under_the_axis_with_its_value() -> None:
    drawing = CHARTS["lines"]()
    assert ">10.0</text>" in drawing
    assert charts.lines(series(), "bits", "top-1, %", "d").count(">10.0</text>") == 0


@given(st.integers(1, 300))
def test_rebinning_loses_no_count(bins: int) -> None:
    counts, edges = np.arange(bins), np.linspace(0, 1, bins + 1)
    sums, cuts = run_charts.rebinned(counts, edges)
    assert sums.sum() == counts.sum()
    assert len(sums) <= run_charts.BINS
    assert len(cuts) == len(sums) + 1
    assert (cuts[0], cuts[-1]) == (0, 1)


def test_a_corner_that_would_cover_another_has_no_name() -> None:
    points = [Point(1.0, 90.0), Point(1.01, 90.1), Point(9.0, 95.0)]
    front = [(1.0, 90.0, "first"), (1.01, 90.1, "hidden"), (9.0, 95.0, "last")]
    drawing = charts.scatter([Series("a", 0, points)], front, "MiB", "top-1, %", "d")
    assert re.findall(r'class="tick halo"[^>]*>([^<]+)<', drawing) == ["first", "last"]


def test_what_was_not_measured_has_a_dash_and_no_bar() -> None:
    drawing = run_charts.layers(["a", "b"], [Panel("SQNR, dB", [3.0, float("nan")])], "d")
    assert drawing.count('class="bar"') == 1
    assert ">–</text>" in drawing


def test_the_last_event_is_named_left_of_its_line() -> None:
    drawing = run_charts.training(
        [0, 1, 2, 3], [90.0] * 4, [0.5, 0.75, 0.875, 1], [1] * 4,
        ["freeze 50 %", "", "", "freeze 100 %"], 92.0, "d",
    )  # fmt: skip
    assert re.search(r'text-anchor="end">freeze 100 %<', drawing)


def test_the_bars_are_as_long_as_the_values() -> None:
    drawing = run_charts.layers(["a", "b"], [Panel("bits", [2.0, 8.0], 0)], "d")
    short, long = (float(w) for w in re.findall(r'class="bar"[^>]* width="([\d.]+)"', drawing))
    assert long / short == pytest.approx(4, rel=1e-3)


def test_a_whisker_ends_where_the_axis_does() -> None:
    wide = [Series("log2", 0, [Point(4, 91.0, spread=9.0), Point(5, 92.0)])]
    drawing = charts.lines(wide, "bits", "top-1, %", "wide", floor=90.0)
    (whisker,) = re.findall(r'<line[^>]*class="whisker[^>]*>', drawing)
    ends = [float(re.search(rf' {key}="([\d.]+)"', whisker)[1]) for key in ("y1", "y2")]
    assert charts.TOP <= min(ends) < max(ends) <= charts.HEIGHT - charts.BOTTOM
