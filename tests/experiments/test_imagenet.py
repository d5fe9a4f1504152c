"""The papers' own scale: every file composes, and runs on made-up images of 64 pixels."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from dyadic.commands.build import run
from dyadic.commands.run import register_run_name
from dyadic.record.read import read_records
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations

ROOT = Path(__file__).parents[2]
NAMES = [path.stem for path in sorted((ROOT / "experiments" / "imagenet").glob("*.yaml"))]
SHORTER = {
    **dict.fromkeys(("epochs", "epochs_per_step", "after", "fine_tuning", "moving_epochs"), 1),
    **{"samples": 256, "images": 16, "strengths": [1.0], "alternations": 1},  # of two-step
}
# In the place of torchvision's weights: statistics of the pictures, and weights that are near
# their beginnings (the recipe's rate of 0.1, meant for batches of 256, would ruin them).
START = (
    *("start=train", "trainer.baseline.epochs=10", "trainer.baseline.optimizer.lr=1.0e-4"),
    *("dataset.batch_size=4", "dataset.workers=0"),
    *("trainer.hardware.accelerator=cpu", "trainer.hardware.threads=1"),
)


def composed(name: str, *choices: str) -> DictConfig:
    """The first run of an experiment."""
    register_run_name()
    node = yaml.safe_load((ROOT / "experiments" / "imagenet" / f"{name}.yaml").read_text())
    swept = node["hydra"]["sweeper"]["params"]
    first = [f"{key}={str(value).split(',')[0]}" for key, value in swept.items()]
    search = f"hydra.searchpath=[file://{ROOT}]"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", [search, f"+experiments/imagenet={name}", *first, *choices])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """`data_dir` with two classes: eight training images and four others, 64 x 64 pixels."""
    noise = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2)):
        for label in range(2):
            folder = tmp_path / "data" / "imagenet" / part / f"n{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 156, (64, 64, 3), np.uint8) + np.uint8(100 * label)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "data"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_composes_and_says_how_to_run_it(name: str) -> None:
    cfg = composed(name)
    assert cfg.dataset.name == "imagenet"
    assert cfg.trainer.epoch_share == 1
    assert not OmegaConf.missing_keys(cfg)
    text = (ROOT / "experiments" / "imagenet" / f"{name}.yaml").read_text()
    assert f"python run.py -m +experiments/imagenet={name} " in text
    assert "hydra/launcher=submitit_slurm" in text
    assert "GPU hours" in text


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_two_steps_of_it_run_to_integers_and_a_table(
    name: str, pictures: Path, tmp_path: Path
) -> None:
    schedule = composed(name).schedule
    shorter = [f"schedule.{key}={value}" for key, value in SHORTER.items() if key in schedule]
    size = f"dataset.image_size={80 if 'inception' in name else 64}"
    results = tmp_path / "results"
    cfg = composed(name, *shorter, *START, size, f"data_dir={pictures}", f"results_dir={results}")
    summary = run(cfg)
    if cfg.schedule.get("epochs") or cfg.schedule.get("epochs_per_step"):
        (record,) = read_records(results / "runs")
        assert record.history().step.iloc[0] == 2
    if cfg.deploy is not None:
        assert summary["integer"]["mismatched_logits"] == 0
        assert summary["integer"]["images"] == 4
    assert list(configurations(overview(read_records(results / "runs"))).method) == [
        summary["method"]
    ]
