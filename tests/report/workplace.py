"""An experiments folder and run records, made up: what the command of the claims works on."""

import json
from pathlib import Path

import pandas as pd
import yaml

from dyadic.report.claims import main
from dyadic.report.data.verdicts import read_verdicts

CLAIM = {
    "paper": "inq",
    "table": "Table 2",
    "statement": "Largest first is better.",
    "runs": {"method.name": "inq"},
    "published": {"table": "Table 2"},
    "arms": {
        "largest": {"runs": {"partition": "largest"}, "published": {"row": "largest first"}},
        "random": {"runs": {"partition": "random"}, "published": {"row": "random"}},
    },
    "comparisons": [
        {"better": "largest", "worse": "random", "margin": 0.5},
        {"better": "largest", "worse": "float", "margin": -1.0},
    ],
}


PUBLISHED = (
    "paper,table,row,network,data,weight_bits,activation_bits,metric,value,baseline,"
    "baseline_kind,source\n"
    "inq,Table 2,largest first,ResNet-18,ImageNet,5,32,top1_error,31.02,31.73,start,x\n"
    "inq,Table 2,random,ResNet-18,ImageNet,5,32,top1_error,32.11,31.73,start,x\n"
)


class Workplace:
    """An experiments folder and run records, made up."""

    def __init__(self, root: Path) -> None:
        self.experiments, self.runs, self.out = root / "exp", root / "runs", root / "tables"
        (self.experiments / "published").mkdir(parents=True)
        (self.experiments / "published" / "inq.csv").write_text(PUBLISHED)
        readme = "before\n<!-- claims:begin -->\n<!-- claims:end -->\nafter\n"
        (self.experiments / "README.md").write_text(readme)
        self.write(CLAIM)

    def write(self, claim: dict) -> None:
        (self.experiments / "partition.yaml").write_text(yaml.safe_dump({"claim": claim}))

    def run(
        self, partition: str, seed: int, top1: float, network="resnet8", epochs=3, draw=0
    ) -> None:
        folder = self.runs / f"{network}-{partition}-{seed}-{epochs}-{draw}"
        folder.mkdir(parents=True)
        config = {"method": {"name": "inq"}, "partition": partition, "epochs": epochs}
        config["allocation"] = {"solver": {"seed": draw}, "bits": 5, "activation_bits": None}
        (folder / "config.yaml").write_text(yaml.safe_dump(config | {"seed": seed}))
        (folder / "history.csv").write_text(f"epoch,top1\n0,{top1 + 0.5}\n1,{top1}\n")
        summary = {
            "status": "done", "dataset": "fashion_mnist", "model": network, "seed": seed,
            "top1": top1, "float_top1": 91.0 + seed, "hardware": "two cores",
            "precision": "bf16-mixed", "epochs": {"baseline": 4, "quantize": epochs},
            "ended": f"2026-11-20T10:00:0{epochs}", "integer": {"top1": top1 - 0.5},
            "quantizer": {"weight": "PowerOfTwo", "activation": None},
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))

    def claims(self, *more: str) -> int:
        where = [str(self.runs), str(self.out), "--experiments", str(self.experiments)]
        return main([*where, *more])

    def verdicts(self) -> pd.DataFrame:
        assert self.claims() == 0
        return read_verdicts(self.out / "claims.csv")

    def pair(self, largest: list[float], random: list[float]) -> None:
        for seed, values in enumerate(zip(largest, random, strict=True)):
            self.run("largest", seed, values[0])
            self.run("random", seed, values[1])


TOP1 = [91.0, 91.5, 91.2, 91.3, 91.1]
