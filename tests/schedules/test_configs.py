"""Every configuration of the groups quantizer, schedule and method builds what it names."""

import functools
import tempfile
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from dyadic.allocation.cost import costs_of
from dyadic.allocation.problem import Problem
from dyadic.network.insert import FLOAT
from dyadic.quantizers.quantizer import Quantizer
from dyadic.schedules.schedule import Schedule

CONF = Path(__file__).resolve().parents[2] / "conf"


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


PRIMARY = f"""
defaults:
  - _self_
  - quantizer/weight: uniform
  - quantizer/activation: none
  - quantizer/gradient: none
  - schedule: none
  - sensitivity: none
  - allocation: fixed
  - method: inq
bits: 5
seed: 0
hydra:
  searchpath: [file://{CONF}]
"""


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """A configuration of these groups alone; conf/config.yaml has more."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "primary.yaml").write_text(PRIMARY)
        with initialize_config_dir(folder, version_base="1.3"):
            return compose("primary", overrides=list(overrides))


@pytest.mark.parametrize("name", names("quantizer/weight"))
def test_weight_quantizers_are_factories(name):
    factory = instantiate(composed(f"quantizer/weight={name}").quantizer.weight)
    if name == "none":
        assert factory is None
        return
    bits = {"binary": 1, "ternary": 2, "ternary_per_channel": 2}.get(name, 4)
    quantizer = factory(bits=bits)
    assert isinstance(quantizer, Quantizer)
    assert quantizer(torch.randn(4, 2, 3, 3)).shape == (4, 2, 3, 3)


@pytest.mark.parametrize("name", names("quantizer/activation"))
def test_activation_quantizers_are_factories(name):
    factory = instantiate(composed(f"quantizer/activation={name}").quantizer.activation)
    if name == "none":
        assert factory is None
        return
    quantizer = factory(bits=4, signed=False)
    assert isinstance(quantizer, Quantizer)
    quantizer.observe(torch.rand(2, 3))
    assert (quantizer(torch.rand(2, 3)) >= 0).all()


@pytest.mark.parametrize("name", names("quantizer/gradient"))
def test_gradient_quantizers_are_factories(name):
    factory = instantiate(composed(f"quantizer/gradient={name}").quantizer.gradient)
    assert factory is None or isinstance(factory(bits=5), Quantizer)


@pytest.mark.parametrize("name", names("schedule"))
def test_schedules_are_built_and_have_phases(name, build):
    schedule = instantiate(composed(f"schedule={name}").schedule)
    assert isinstance(schedule, Schedule)
    phases = schedule.phases(build(None))
    assert (phases == []) == (name in ("none", "bias_corrected", "re_estimated"))
    assert all(phase.epochs > 0 for phase in phases)


@pytest.mark.parametrize("name", names("method"))
def test_methods_build_at_every_bit_width_that_they_name(name, build):
    default = composed(f"method={name}")
    assert default.method.name == name
    assert default.bits in default.method.bits
    layers = costs_of(build(None).layers)
    for bits in default.method.bits:
        cfg = OmegaConf.merge(default, {"bits": bits})
        assert isinstance(instantiate(cfg.schedule), Schedule)
        widths = instantiate(cfg.allocation).assign(Problem(layers, float, {}))
        for side, width in zip(("weight", "activation"), widths["conv2"], strict=True):
            factory = instantiate(cfg.quantizer[side])
            assert (factory is None) == (width == FLOAT)
            assert factory is None or factory(bits=width, signed=side == "weight").bits == width


AXES = {
    "schedule": "all_at_once",
    "allocation": "ilp",
    "quantizer/weight": "log_sqrt2",
    "quantizer/activation": "lsq",
}


@pytest.mark.parametrize("name", names("method"))
def test_the_axes_of_a_method_are_replaced_without_a_trace(name):
    """A method's own settings must not end up in a part that somebody else chose."""
    overrides = [f"{axis}={choice}" for axis, choice in AXES.items()]
    chosen, alone = composed(f"method={name}", *overrides), composed(*overrides)
    for axis in AXES:
        found, wanted = (OmegaConf.select(c, axis.replace("/", ".")) for c in (chosen, alone))
        assert OmegaConf.to_container(found) == OmegaConf.to_container(wanted)


@pytest.mark.parametrize("name", [n for n in names("schedule") if n.startswith("inq")])
def test_the_portions_of_inq_accumulate_to_everything(name):
    portions = composed(f"schedule={name}").schedule.portions
    assert portions[-1] == 1
    assert sorted(set(portions)) == portions
