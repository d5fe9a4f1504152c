"""Every experiment composes; every arm is run by one; compared arms train equally long."""

from functools import cache
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from dyadic.allocation.problem import problem_of
from dyadic.commands.run import register_run_name
from dyadic.models import resnet8
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.report.data.claims import BASELINE, Claim, published_row, read_claims, read_published
from dyadic.report.data.verdicts import matches

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments"
NOT_ARMS = ("smoke", "integers", "log_domain", "mobile_hawq_v3", "mobile_inq")
NAMES = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]
CLAIMS = {claim.experiment: claim for claim in read_claims(FOLDER)}
Config = dict[str, Any]
MISSING = object()
SEEDS = ("range(5)", "range(10)")


@cache
def jobs(name: str, count: int | None = None) -> list[Config]:
    """The configurations of an experiment's runs, one seed of each; the first `count`."""
    node = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    swept = node["hydra"]["sweeper"]["params"]
    values = {k: str(v).replace("\n", "").split(",") for k, v in swept.items() if k != "seed"}
    values = {k: v if "range" not in v[0] else ["0"] for k, v in values.items()}
    found = []
    for choice in islice(product(*values.values()), count):
        chosen = dict(zip(values, choice, strict=True))
        groups = {key: value for key, value in chosen.items() if (ROOT / "conf" / key).is_dir()}
        cfg = composed(name, tuple(f"{key}={value}" for key, value in groups.items())).copy()
        for key in chosen.keys() - groups.keys():  # much quicker than to compose each
            assert OmegaConf.select(cfg, key, default=MISSING) is not MISSING, key
            OmegaConf.update(cfg, key, yaml.safe_load(chosen[key].strip()))
        plain = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(plain, dict)
        found.append({str(k): v for k, v in plain.items()})
    return found


@cache
def composed(name: str, choices: tuple[str, ...]) -> DictConfig:
    """The configuration of an experiment with these groups chosen."""
    register_run_name()
    search = f"hydra.searchpath=[file://{ROOT}]"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", [search, f"+experiments={name}", *choices])


@cache
def everything() -> list[Config]:
    return [job for name in NAMES if name not in NOT_ARMS for job in jobs(name)]


@cache
def network() -> QuantizedNetwork:
    return QuantizedNetwork(trace(resnet8(10, 1), torch.rand(2, 1, 28, 28)), (1, 28, 28))


def epochs(job: Config) -> int:
    """Of fine-tuning, on ResNet-8, which has as many blocks as any schedule here asks for."""
    schedule = instantiate(job["schedule"])
    return sum(phase.epochs for phase in schedule.phases(network()))


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_composes_and_says_how_to_run_it(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert f"python run.py -m +experiments={name}" in text
    assert jobs(name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_every_arm_is_run_and_stands_beside_one_published_row_at_most(claim: Claim) -> None:
    published = read_published(FOLDER / "published")
    for name, arm in claim.arms.items():
        assert any(matches(job, arm.runs) for job in everything()), name
        published_row(arm, published)


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_compared_arms_train_equally_long_or_say_that_one_does_not_train(claim: Claim) -> None:
    for comparison in claim.comparisons:
        if BASELINE in (comparison.better, comparison.worse):
            continue
        lengths = {
            name: {epochs(job) for job in everything() if matches(job, claim.arms[name].runs)}
            for name in (comparison.better, comparison.worse)
        }
        trained = {length for found in lengths.values() for length in found if length}
        assert len(trained) <= 1 or claim.experiment == "tsq_fine_tuning", lengths


def test_every_experiment_but_an_evaluation_has_five_seeds_at_least() -> None:
    few = []
    for name in set(NAMES) - set(NOT_ARMS):
        node = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        few += [name] * (node["hydra"]["sweeper"]["params"].get("seed") not in SEEDS)
    assert few == []


def test_reproduce_names_experiments_that_exist_and_leaves_none_out() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (line,) = (line for line in makefile.splitlines() if line.startswith("FIRST :="))
    named = line.removeprefix("FIRST :=").split()
    assert len(set(named)) == len(named)
    assert set(named) <= set(NAMES)
    assert set(NAMES) - set(named) == set(NOT_ARMS)  # after the others


def test_a_trainer_on_the_command_line_is_stronger_than_an_experiment_s() -> None:
    (job,) = (composed("inq_float", ("trainer=gpu",)),)
    assert job.trainer.hardware.accelerator == "gpu"
    assert job.trainer.epoch_share == 1


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("hawq_v3")])
def test_every_budget_is_of_the_network_that_it_is_for(name: str, monkeypatch) -> None:
    """A table of latencies among them: every layer's shape is in it."""
    monkeypatch.chdir(ROOT)
    for job in jobs(name):
        options = {key: value for key, value in job["model"].items() if key != "name"}
        images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
        model = trace(instantiate(options, classes=10, channels=1).eval(), images.float())
        layers = QuantizedNetwork(model, (1, 28, 28))
        chosen = instantiate(job["allocation"]).assign(problem_of(layers, lambda *_: 0.0))
        assert chosen.keys() == {layer.name for layer in layers.layers}
