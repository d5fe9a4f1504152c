"""The runs of `mobile_inq` and `mobile_hawq_v3` as a table: docs/networks.md.

python -m experiments.mobile [RUNS]
"""

import sys
from pathlib import Path

import pandas as pd

from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.command import fill
from dyadic.report.tables import csv, markdown

TABLE, PAGE = Path("results/tables/mobile.csv"), Path("docs/networks.md")
MODELS, METHODS = ("mobilenet_v2", "efficientnet_b0"), ("inq", "hawq_v3")


def table(runs: Path) -> pd.DataFrame:
    """A row a finished run: accuracies, and in how many logits the integers differ."""
    found = [record.summary for record in read_records(runs) if record.summary]
    chosen = [s for s in found if s["model"] in MODELS and s["method"] in METHODS]
    chosen.sort(key=lambda s: (MODELS.index(s["model"]), METHODS.index(s["method"])))
    rows = [
        {
            "network": s["model"],
            "method": s["method"],
            "float top-1": s["float_top1"],
            "top-1": s["top1"],
            "integer top-1": s["integer"]["top1"],
            "images": s["integer"]["images"],
            "logits that differ in an engine": s["integer"]["mismatched_logits"],
            "from float64": s["integer"]["mismatched_vs_float64"],
            "MiB": s["size_mib"],
            "GBOPS": s["gbops"],
        }
        for s in chosen
    ]
    return pd.DataFrame(rows)


def main(arguments: list[str]) -> int:
    """Write the table and the page's block."""
    found = table(Path(arguments[0] if arguments else "results/runs"))
    write_text(TABLE, csv(found))
    return fill([(PAGE, "mobile", markdown(found))], check=False, module="mobile")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
