"""The papers' claims, as `experiments/*.yaml` declare them, and the papers' own numbers.

    claim:
      paper: inq                      of experiments/published/*.csv, and the name of the method
      table: Table 3
      statement: one sentence
      tried: what else was tried      where something was
      runs: {method.name: inq}        values of a run's config.yaml that all arms have
      published: {table: Table 3}     columns of the published tables that all arms have
      arms:
        5 bits: {runs: {bits: 5}, published: {weight_bits: 5}}
      comparisons:
        - {better: 5 bits, worse: float, margin: -0.3}

An arm is the runs that differ in their seed alone. `float` is always there: each run's own float
baseline. A comparison holds where top-1 of the better arm minus that of the worse is at least the
margin, in points, over the seeds that both have (`dyadic.report.data.seeds.Paired`).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dyadic.errors import UserError
from dyadic.record.read import numbers, read_csv
from dyadic.report.tables import rows, signed

BASELINE = "float"
"""The arm that every claim has: each run's own float baseline."""

REPEAT = "python run.py -m +experiments={}"
GOOD = {"top1": 1.0, "top5": 1.0, "top1_error": -1.0, "top5_error": -1.0, "top1_drop": -1.0}
"""The metrics that can be compared, and whether more is better."""


@dataclass(frozen=True)
class Arm:
    """Values of `config.yaml` by dotted key, and of a published row by column (or none)."""

    runs: dict[str, Any]
    published: dict[str, Any] | None = None


@dataclass(frozen=True)
class Comparison:
    """`better` minus `worse` is at least `margin` points."""

    better: str
    worse: str
    margin: float

    def __str__(self) -> str:
        """As it stands in the tables: `5 bits − float ≥ −0.3`."""
        return f"{self.better} − {self.worse} ≥ {signed(self.margin, 1)}"


@dataclass(frozen=True)
class Claim:
    """What one experiment is to show."""

    experiment: str
    paper: str
    table: str
    statement: str
    arms: dict[str, Arm]
    comparisons: list[Comparison]
    tried: str = ""


def read_claims(folder: Path) -> list[Claim]:
    """The claims of `folder/*.yaml`, by name; experiments without one are left out."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    nodes = {name: yaml.safe_load(text) or {} for name, text in texts.items()}
    return [parse(name, node["claim"]) for name, node in nodes.items() if "claim" in node]


def parse(experiment: str, node: dict[str, Any]) -> Claim:
    """A claim from its YAML node; raises UserError where a key or an arm is not known."""
    try:
        common, row = node.get("runs", {}), node.get("published", {})
        arms = {
            str(name): Arm(common | arm.get("runs", {}), None if theirs is None else row | theirs)
            for name, arm in node["arms"].items()
            for theirs in [arm.get("published")]
        }
        comparisons = [Comparison(**entry) for entry in node["comparisons"]]
        said = {key: str(node[key]) for key in ("paper", "table", "statement")}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"experiments/{experiment}.yaml: claim is not complete: {error}") from error
    for name in {n for c in comparisons for n in (c.better, c.worse)} - {BASELINE, *arms}:
        raise UserError(f"experiments/{experiment}.yaml: no arm {name}; use {', '.join(arms)}")
    tried = " ".join(str(node.get("tried", "")).split())
    return Claim(experiment, **said, arms=arms, comparisons=comparisons, tried=tried)


def read_published(folder: Path) -> pd.DataFrame:
    """The papers' numbers (`experiments/published/*.csv`), one file after the other.

    Files without a column `metric` are something else. Bits stay as they are printed: mixed widths
    are `4/8`.
    """
    frames = [read_csv(path) for path in sorted(folder.glob("*.csv"))]
    none = pd.DataFrame(columns=["value", "baseline"])
    table = pd.concat([none, *(f for f in frames if "metric" in f)], ignore_index=True)
    return table.assign(value=numbers(table.value), baseline=numbers(table.baseline))


def published_row(arm: Arm, published: pd.DataFrame) -> dict[str, Any] | None:
    """The arm's row of the published tables; raises UserError unless there is exactly one."""
    if arm.published is None:
        return None
    # As text: a column with gaps has 5.0 where 5 is printed
    wanted, table = arm.published.items(), rows(published)
    fits = [r for r in table if all(str(r.get(k)) in (str(v), f"{v}.0") for k, v in wanted)]
    if len(fits) != 1:
        raise UserError(f"{len(fits)} published rows are {arm.published}; one would be right")
    return fits[0]


def published_difference(comparison: Comparison, claim: Claim, published: pd.DataFrame) -> float:
    """The paper's own difference in points, more is better; nan where it has none."""
    names = [comparison.better, comparison.worse]
    arms = {name: claim.arms[name] for name in names if name != BASELINE}
    found = {name: published_row(arm, published) or {} for name, arm in arms.items()}
    first, *others = found.values()
    if not first or any(first["metric"] != other.get("metric") for other in others):
        return math.nan
    better, worse = (found[n]["value"] if n in found else first["baseline"] for n in names)
    return GOOD[first["metric"]] * (better - worse)
