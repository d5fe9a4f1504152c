"""What a device needs for each layer at each width: measured once, looked up by the allocation."""

import csv
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dyadic.allocation.cost import Bits, LayerCost
from dyadic.errors import UserError
from dyadic.files import write_atomically

COLUMNS = (
    "device",
    "layer",
    "shape",
    "parameters",
    "macs",
    "weight_bits",
    "activation_bits",
    "milliseconds",
    "faster",
)

# Below this gain a lower width is timing noise, and costs accuracy for nothing.
LEAST_GAIN = 0.02


@dataclass(frozen=True)
class Row:
    """One layer at one pair of widths; `faster` says whether any wider pair takes longer."""

    layer: LayerCost
    bits: Bits
    milliseconds: float
    faster: bool


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of every layer of one network on one device, for one batch size.

    A row that is not `faster` counts as the time of the fastest wider pair, so that an allocation
    has no reason to take the narrower one.
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
        return row.milliseconds if row.faster else min(r.milliseconds for r in _wider(row, own))

    @classmethod
    def read(cls, path: Path | str) -> "LatencyTable":
        """Read a table that `write` made; UserError where it is missing or has other columns."""
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no latency table {path}; make one with: python -m dyadic latency")
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        if not lines or set(COLUMNS) - set(lines[0]):
            raise UserError(f"{path} is no latency table; it must have columns {','.join(COLUMNS)}")
        return cls(lines[0]["device"], [_row(line) for line in lines])

    def write(self, path: Path | str) -> None:
        """Write CSV with the columns of `COLUMNS`, atomically."""
        with write_atomically(Path(path)) as beside, beside.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in self.rows:
                layer, faster = row.layer, "yes" if row.faster else "no"
                cells = (layer.name, layer.shape, layer.parameters, layer.macs, *row.bits)
                writer.writerow((self.device, *cells, f"{row.milliseconds:.6f}", faster))


def measure(
    device: str,
    layers: Iterable[LayerCost],
    choices: Iterable[Bits],
    time_layer: Callable[[LayerCost, Bits], float],
    repeats: int = 5,
) -> LatencyTable:
    """Time every layer at every pair of widths: the median of `repeats` calls of `time_layer`.

    `time_layer(layer, bits)` returns milliseconds. Layers of one shape are timed once.
    """
    choices = sorted(choices, key=lambda bits: bits[0] * bits[1], reverse=True)
    known: dict[tuple[str, int, int], list[tuple[Bits, float]]] = {}
    rows: list[Row] = []
    for layer in layers:
        key = (layer.shape or layer.name, layer.parameters, layer.macs)
        if key not in known:
            known[key] = [
                (bits, statistics.median(time_layer(layer, bits) for _ in range(repeats)))
                for bits in choices
            ]
        rows += compare(layer, known[key])
    return LatencyTable(device, rows)


def compare(layer: LayerCost, times: Sequence[tuple[Bits, float]]) -> list[Row]:
    """Rows of one layer, each told whether it beats every wider pair by `LEAST_GAIN`."""
    rows = [Row(layer, bits, milliseconds, faster=True) for bits, milliseconds in times]
    return [
        Row(
            layer,
            row.bits,
            row.milliseconds,
            faster=all(
                row.milliseconds < (1 - LEAST_GAIN) * wider.milliseconds
                for wider in _wider(row, rows)
            ),
        )
        for row in rows
    ]


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
    return Row(layer, bits, float(line["milliseconds"]), line["faster"] == "yes")
