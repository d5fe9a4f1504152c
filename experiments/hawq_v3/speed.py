"""HAWQ-V3's claim that 4 bits are faster than 8, held against speeds measured on this processor.

Table 2 has INT4 at 1.48 (ResNet-18) and 1.45 (ResNet-50) times the speed of INT8 on a Tesla T4.
What must come out here, said beforehand: 4 bits are faster, all of the 95 % interval of the mean
ratio lies above `MARGIN`. `benchmarks/hawq_v3.py` measures and calls `write`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.hawq_v3.published import cell

from dyadic.record.files import write_rows, write_text
from dyadic.report.command import insert
from dyadic.report.data.verdicts import pair_of

MARGIN = 1.0
NAMES = {"resnet18": "ResNet-18", "resnet50": "ResNet-50"}
NAME, MARK = "hawq_v3_speed", "speed"
COMMAND = "PYTHONPATH=. python benchmarks/hawq_v3.py --write"
COLUMNS = ["claim", "verdict", "published", "ours", "95 % interval", "networks", "processor"]
PAGE = """\
# hawq_v3_speed: hawq_v3, Table 2, speed

The paper: INT4 is {published} times as fast as INT8 on a Tesla T4.

Here: W4A4 against W8A8 of the compiled engine, both exact, 224 pixels, batch {batch}.
Said beforehand: 4 bits are faster, all of the interval lies above {margin}.

{table}

Ours is the mean over networks with random weights, one a seed; a network's ratio is the median over
{rounds} rounds, in each of which both take turns. The interval is Student's t, 95 %.

{distance}

| network | {seeds} |
| :-- | {rules} |
{ratios}

## Repeat it

    {command}
"""


@dataclass(frozen=True)
class Setting:
    """What was measured: images together, rounds of turns, the processor with path and threads."""

    batch: int
    rounds: int
    processor: str


@dataclass(frozen=True)
class Speedup:
    """A network's speed at 4 bits in multiples of that at 8, by seed."""

    network: str
    ratios: Sequence[float]

    @property
    def published(self) -> float:
        """The same of the paper."""
        return cell("table2", NAMES[self.network], "INT4", "4", "speedup_over_int8")

    def row(self, processor: str) -> dict[str, str]:
        """By `COLUMNS`; the verdict as of every claim."""
        said = " ".join(f"{seed}:{ratio:.4f}" for seed, ratio in enumerate(self.ratios))
        pair = pair_of({"differences": said, "margin": MARGIN})
        claim = f"{NAMES[self.network]}: speed of W4A4 / speed of W8A8 ≥ {MARGIN}"
        spread = f"{pair.low:.2f} to {pair.high:.2f}"
        numbers = (f"{self.published:.2f}", f"{pair.mean:.2f}", spread, str(len(self.ratios)))
        return dict(zip(COLUMNS, (claim, pair.words(), *numbers, processor), strict=True))

    def distance(self) -> str:
        """What is missing to the paper, in words.

        >>> Speedup("resnet18", [1.24, 1.24]).distance()
        "ResNet-18: 50 % of the T4's gain (+24 % beside +48 %)."
        """
        gain = sum(self.ratios) / len(self.ratios) - 1
        theirs = self.published - 1
        said = f"{gain / theirs:.0%} of the T4's gain ({gain:+.0%} beside {theirs:+.0%})."
        return f"{NAMES[self.network]}: {said.replace('%', ' %')}"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown."""
    lines = [COLUMNS, [":--"] * len(COLUMNS), *([row[name] for name in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(found: Sequence[Speedup], setting: Setting) -> str:
    """results/claims/hawq_v3_speed.md."""
    published = " and ".join(f"{s.published:.2f} ({NAMES[s.network]})" for s in found)
    seeds = range(len(found[0].ratios))
    return PAGE.format(
        published=published,
        batch=setting.batch,
        rounds=setting.rounds,
        margin=MARGIN,
        table=table([speedup.row(setting.processor) for speedup in found]),
        distance="\n".join(speedup.distance() for speedup in found),
        seeds=" | ".join(f"seed {seed}" for seed in seeds),
        rules=" | ".join("--:" for _ in seeds),
        ratios="\n".join(
            f"| {s.network} | {' | '.join(f'{ratio:.2f}' for ratio in s.ratios)} |" for s in found
        ),
        command=COMMAND,
    )


def write(root: Path, found: Sequence[Speedup], setting: Setting) -> None:
    """The page, results/tables/hawq_v3_speed.csv, and the rows in experiments/README.md."""
    rows = [speedup.row(setting.processor) for speedup in found]
    readme = root / "experiments" / "README.md"
    text = insert(readme.read_text(encoding="utf-8"), table(rows), MARK)
    write_text(root / "results" / "claims" / f"{NAME}.md", page(found, setting))
    write_rows(root / "results" / "tables" / f"{NAME}.csv", COLUMNS, rows)
    write_text(readme, text)
