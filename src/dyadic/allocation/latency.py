"""What a device needs for each layer at each width: measured once, looked up by the allocation."""

import csv
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dyadic.allocation.cost import LayerCost
from dyadic.errors import UserError
from dyadic.network.insert import Bits
from dyadic.record.files import write_atomically

LATENCY_COLUMNS = (
    "device",
    "layer",
    "shape",
    "parameters",
    "macs",
    "weight_bits",
    "activation_bits",
    "milliseconds",
    "spread",
    "faster",
)

REPEATS = 15
SHARE = 0.75
"""Of a pair's timings, that must be below the best of every wider pair."""


@dataclass(frozen=True)
class Row:
    """One layer at one pair of widths.

    milliseconds  the median of several timings, and `spread` their interquartile range
    faster        whether it beats every wider pair by more than noise, as `rows_of` says
    """

    layer: LayerCost
    bits: Bits
    milliseconds: float
    faster: bool
    spread: float


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of every layer of one network on one device, for one batch size.

    A row that is not `faster` counts as the fastest wider pair, whose time in turn counts so, and
    an allocation has no reason to take the narrower one.
    """

    device: str
    rows: Sequence[Row]

    def milliseconds(self, layer: LayerCost, bits: Bits) -> float:
        """Time of `layer` at these widths.

        Raises UserError where the table is of another network or lacks the widths.
        """
        own = [row for row in self.rows if row.layer.name == layer.name]
        if not own or _work(own[0].layer) != _work(layer):
            raise UserError(
                f"the latency table of {self.device} is of another network: it has no layer "
                f"{layer.name} of {layer.parameters} weights and {layer.macs} MACs; measure it"
            )
        row = next((row for row in own if row.bits == bits), None)
        if row is None:
            measured = ", ".join(f"{w}/{a}" for w, a in (row.bits for row in own))
            raise UserError(
                f"the latency table of {self.device} has no {bits[0]}/{bits[1]} bits for "
                f"{layer.name}; it has {measured}"
            )
        return _counted(row, own)

    @classmethod
    def read(cls, path: Path | str) -> "LatencyTable":
        """Read a table that `write` made; UserError where it is missing or has other columns."""
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no latency table {path}; make one with: python -m dyadic latency")
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        if not lines or set(LATENCY_COLUMNS) - set(lines[0]):
            raise UserError(
                f"{path} is no latency table; it must have columns {','.join(LATENCY_COLUMNS)}"
            )
        return cls(lines[0]["device"], [_row(line) for line in lines])

    def write(self, path: Path | str) -> None:
        """Write CSV with the columns of `LATENCY_COLUMNS`, atomically."""
        with write_atomically(Path(path)) as beside, beside.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(LATENCY_COLUMNS)
            for row in self.rows:
                layer, faster = row.layer, "yes" if row.faster else "no"
                cells = (layer.name, layer.shape, layer.parameters, layer.macs, *row.bits)
                times = (f"{row.milliseconds:.6f}", f"{row.spread:.6f}")
                writer.writerow((self.device, *cells, *times, faster))


Timer = Callable[[], float]
"""Times a layer once, in milliseconds."""


def measure(
    device: str,
    layers: Iterable[LayerCost],
    choices: Iterable[Bits],
    prepare: Callable[[LayerCost, Bits], Timer],
    repeats: int = REPEATS,
) -> LatencyTable:
    """Time every layer at every pair of widths, `repeats` times.

    `prepare(layer, bits)` returns the timer. The widths of a layer take turns, so that a machine
    which slows down slows all of them. Layers of one shape are timed once.
    """
    choices = sorted(choices, reverse=True)
    timed: dict[tuple[str, int, int], dict[Bits, list[float]]] = {}
    rows: list[Row] = []
    for layer in layers:
        key = (layer.shape or layer.name, layer.parameters, layer.macs)
        if key not in timed:
            timers = {bits: prepare(layer, bits) for bits in choices}
            rounds = [{bits: timers[bits]() for bits in choices} for _ in range(repeats)]
            timed[key] = {bits: [times[bits] for times in rounds] for bits in choices}
        rows += rows_of(layer, timed[key])
    return LatencyTable(device, rows)


def rows_of(layer: LayerCost, times: Mapping[Bits, Sequence[float]]) -> list[Row]:
    """Rows of one layer from its timings in milliseconds.

    A pair of widths is faster when three quarters of its timings are below the smallest timing of
    every wider pair: a wider pair that was disturbed now and then was not disturbed in its best.
    Of two pairs that are alike one comes out so once in 190 000 times, whatever the noise: of 30
    timings the 12 smallest must be of the narrower pair, 18! 15! / (3! 30!).
    """
    rows = [
        Row(layer, bits, statistics.median(own), faster=True, spread=_quartiles_apart(own))
        for bits, own in times.items()
    ]

    def beats(row: Row, wider: Row) -> bool:
        best = min(times[wider.bits])
        return sum(value < best for value in times[row.bits]) >= SHARE * len(times[row.bits])

    return [replace(row, faster=all(beats(row, w) for w in _wider(row, rows))) for row in rows]


def _quartiles_apart(times: Sequence[float]) -> float:
    if len(times) == 1:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return high - low


def _counted(row: Row, rows: Sequence[Row]) -> float:
    """The time that a row counts as: its own, or that of the fastest wider pair."""
    if row.faster:
        return row.milliseconds
    return min(_counted(other, rows) for other in _wider(row, rows))


def _wider(row: Row, rows: Iterable[Row]) -> list[Row]:
    """Rows with at least the widths of `row` in both, and more in one."""
    return [
        other
        for other in rows
        if other.bits != row.bits and other.bits[0] >= row.bits[0] and other.bits[1] >= row.bits[1]
    ]


def _work(layer: LayerCost) -> tuple[int, int]:
    return layer.parameters, layer.macs


def _row(line: dict[str, str]) -> Row:
    layer = LayerCost(line["layer"], int(line["parameters"]), int(line["macs"]), line["shape"])
    bits = int(line["weight_bits"]), int(line["activation_bits"])
    faster = line["faster"] == "yes"
    return Row(layer, bits, float(line["milliseconds"]), faster, float(line["spread"]))
