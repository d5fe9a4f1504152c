"""The confusion matrix as a chart."""

import numpy as np
from numpy.typing import NDArray

from dyadic.report.charts import svg
from dyadic.report.charts.charts import TOP, WIDTH


def heat_map(matrix: NDArray, labels: list[str], description: str) -> str:
    """A confusion matrix [n, n], rows true: mistakes coloured by their share of the row.

    The diagonal has its own, quiet colour; otherwise it alone would set the scale.
    """
    n = len(labels)
    left = max(svg.text_width(label, 10) for label in labels) + 8
    cell = (WIDTH - left) / n
    depth = min(cell, 30.0)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    wrong = shares - np.diag(np.diag(shares))
    scale = wrong.max(initial=0.0) or 1.0
    parts = [svg.text("true class down, predicted class across, images", 0.0, 11.0, "axis")]
    for row in range(n):
        top = TOP + depth * row
        parts.append(svg.text(labels[row], left - 6, top + depth / 2 + 4, "tick", "end"))
        for column in range(n):
            place = (left + cell * column, top, cell, depth)
            parts.append(
                _cell(place, int(matrix[row, column]), wrong[row, column] / scale, row == column)
            )
    bottom = TOP + depth * n
    for column in range(n):
        middle = left + cell * (column + 0.5)
        label = svg.text(labels[column], middle + 3, bottom + 12, "tick", "end")
        turn = f"rotate(-35 {svg.number(middle)} {svg.number(bottom + 12)})"
        parts.append(svg.tag("g", label, transform=turn))
    room = 20 + 0.6 * max(svg.text_width(label, 10) for label in labels)
    return svg.canvas(WIDTH, bottom + room, description, *parts)


def _cell(place: tuple[float, ...], count: int, strength: float, diagonal: bool) -> str:
    x, y, width, height = place
    opacity = None if diagonal else f"{strength:.2f}"
    kind = "cell right" if diagonal else "cell"
    rect = svg.tag(
        "rect",
        class_=kind,
        x=x + 1,
        y=y + 1,
        width=width - 2,
        height=height - 2,
        fill_opacity=opacity,
    )
    if not count or width < svg.text_width(str(count), 10):
        return rect
    ink = "count inverse" if strength > 0.55 and not diagonal else "count"
    return rect + svg.text(str(count), x + width / 2, y + height / 2 + 3.5, ink, "middle")
