"""Every tensor of every method follows `network.to(device)`, shown without another device.

PyTorch's fake tensors compute nothing, and refuse an operation on tensors of two devices, as CUDA
would. Gradients, which fake tensors of CUDA have not on a machine without it, are meta tensors.
Stochastic rounding is left out: a generator of random numbers needs its real device.
"""

import copy
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.runs import ROOT, configuration
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dyadic.allocation.cost import costs_of
from dyadic.allocation.problem import Problem
from dyadic.commands.build import build
from dyadic.commands.build import run as whole
from dyadic.run.pipeline import _network, _quantize, _sample, calibration_images
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training, parameter_groups

METHODS = sorted(path.stem for path in (ROOT / "conf" / "method").glob("*.yaml"))
FEW = (
    "schedule.samples=64 schedule.images=16 schedule.strengths=[1.0] schedule.alternations=1 "
    "schedule.epochs=1 schedule.fine_tuning=0 allocation=fixed"
)


def kinds(group: str) -> list[str]:
    """Every choice of a group, by itself in a run that has nothing else special."""
    names = sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    bits = {"binary": " bits=1", "ternary": " bits=2", "ternary_per_channel": " bits=2"}
    return [f"method=uniform {group}={name}{bits.get(name, '')}" for name in names]


def option(of: str, key: str, *names: str) -> list[str]:
    """Functions that an option takes, each in a run of its own."""
    return [f"method=uniform quantizer.{of}.{key}._target_=dyadic.quantizers.{n}" for n in names]


CHOICES = [
    *(f"method={method}" + (f" {FEW}" if method == "tsq" else "") for method in METHODS),
    *kinds("quantizer/weight"),
    *kinds("quantizer/activation"),
    *option("weight", "calibration", "calibration.percentile", "calibration.entropy"),
    *option("activation", "calibration", "calibration.mse", "calibration.entropy"),
    *option("activation", "ste", "straight_through.relu", "straight_through.through_relu"),
    "method=uniform quantizer.weight.granularity=per_group quantizer.weight.group_size=4",
    "method=uniform quantizer.weight.granularity=per_block quantizer.weight.group_size=3",
    "method=uniform quantizer/weight=ternary bits=2 quantizer.weight.rule=twn",
    "method=inq bits=3 quantizer.weight.n1=mse",
    "method=inq schedule.partition._target_=dyadic.schedules.partition.random",
    "method=inq schedule.partition._target_=dyadic.schedules.partition.quantization_error",
    "method=inq schedule=inq_prune schedule.portions=[0.5,1.0]",
    "method=uniform schedule=bias_corrected",
    "method=uniform schedule=re_estimated",
    "method=uniform schedule=fold schedule.epochs=1",
    "method=uniform schedule=top_layers",
]


META = torch.device("meta")
# An epoch's steps; the entropy's range is a search over histograms, on the processor.
STEPS = [
    *(choice for choice in CHOICES if "calibration.entropy" not in choice),
    "method=uniform quantizer.activation.unsigned=false quantizer.activation.symmetric=false",
]


class Answers(TorchDispatchMode):
    """Values that the processor asks of a tensor that has none: 1, or true."""

    NUMBERS = (torch.ops.aten.item.default, torch.ops.aten._local_scalar_dense.default)
    TRUTHS = (torch.ops.aten.equal.default, torch.ops.aten.allclose.default)
    COPY = torch.ops.aten._to_copy.default

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is self.COPY and args[0].is_meta and kwargs.get("device") == torch.device("cpu"):
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if func in self.TRUTHS:
            return True
        if func in self.NUMBERS:
            return {torch.bool: True}.get(args[0].dtype, 1.0 if args[0].is_floating_point() else 1)
        return func(*args, **(kwargs or {}))


class Waits(Answers):
    """Notes what would wait until a device has computed all that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        there = [x.is_meta for x in args if isinstance(x, torch.Tensor)]
        if func in self.NUMBERS + self.TRUTHS:
            waits = any(there)
        elif func is self.COPY and "device" in options:
            sent = options["device"] == META
            waits = there[0] != sent and not (sent and options.get("non_blocking"))
        elif func is torch.ops.aten.copy_.default:
            waits = there == [True, False] and args[1].ndim > 0
        else:
            indices = args[1] if func is torch.ops.aten.index.Tensor and there[0] else []
            waits = any(x is not None and not x.is_meta for x in indices)
        if waits:
            ours = [f for f in traceback.extract_stack() if f"{ROOT / 'src'}/" in f.filename]
            self.found.append(f"{func}, {ours[-1].filename}:{ours[-1].lineno}")
        return super().__torch_dispatch__(func, types, args, kwargs)


@pytest.fixture
def swapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `_apply`, of which `to(device)` is a case, put tensors of another kind in place."""
    monkeypatch.setattr(torch.Tensor, "__deepcopy__", lambda x, memo: x.detach().clone())
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(before)


def quantized(tmp_path, choices):
    """A run's parts, and its network after one real step on the processor."""
    run = build(configuration(tmp_path, *choices, "start=train"), tmp_path)
    network, images = _network(run, run.model()), calibration_images(run.data, 64)
    costs = costs_of(network.layers)
    _quantize(run, network, run.allocation.assign(Problem(costs, lambda *_: 0.0, {})), images)
    run.schedule.begin(network)
    if phases := run.schedule.phases(network):
        run.schedule.enter(network, 0, images)
        network.train()
        run.schedule.arrange(network, 0)
    batch = next(iter(run.data.train_batches(0)))
    optimizer = run.optimizer(parameter_groups(network))
    step(network, *batch)
    optimizer.step()
    network.zero_grad(set_to_none=True)
    return run, network, phases, images, batch


def step(network, images, labels) -> torch.Tensor:
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    return loss


@pytest.mark.parametrize("choices", CHOICES)
def test_gradients_and_a_whole_schedule_stay_on_the_networks_device(tmp_path, choices, swapped):
    run, network, phases, images, batch = quantized(tmp_path, choices.split())
    meta = copy.deepcopy(network).to("meta")
    with Answers():
        assert step(meta, *(x.to("meta") for x in batch)).device.type == "meta"
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, Answers():

        def moved(x: torch.Tensor) -> torch.Tensor:
            return fake.from_tensor(x).to("cuda")

        network._apply(moved)
        images, labels = moved(images), moved(batch[1])
        network.calibrate([images])
        assert network(moved(batch[0])).device.type == "cuda"
        assert {x.device.type for x in network.state_dict().values()} == {"cuda"}
        run.schedule.begin(network)
        for index, _ in enumerate(phases):
            run.schedule.enter(network, index, images)
            run.schedule.arrange(network, index)
            run.schedule.step(network, 0.5)
            loss = F.cross_entropy(network(moved(batch[0])), labels)
            assert loss.device.type == "cuda"
            run.schedule.measure(network)
        run.schedule.finish(network, images)
        assert network(images).device.type == "cuda"


@pytest.mark.parametrize("choices", STEPS)
def test_a_step_waits_for_no_device(tmp_path, choices, swapped, monkeypatch):
    """Images are gathered and augmented where the network is, and nothing asks for a number."""
    run, network, phases, _, _ = quantized(tmp_path, choices.split())
    meta = copy.deepcopy(network).to("meta")
    module = Training(meta, run.data, phases, run.optimizer, run.curve, cross_entropy)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "steps_per_epoch", 100)
    optimizer = module.configure_optimizers()["optimizer"]
    batches = iter(run.data.train_batches(0, META))
    with Waits() as waits:
        for step in (1, 2):
            optimizer.zero_grad()
            images, labels = next(batches)
            assert images.is_meta
            assert labels.is_meta
            module.training_step((images, labels), step).backward()
            optimizer.step()
    assert not waits.found


@pytest.mark.parametrize("sensitivity", ["eigenvalue", "hessian", "loss", "sqnr"])
def test_layers_are_weighed_on_the_networks_device(tmp_path, sensitivity):
    choices = ("method=hawq_v3", "allocation=ilp", f"sensitivity={sensitivity}", "start=train")
    run = build(configuration(tmp_path, *choices), tmp_path)
    network = _network(run, run.model())
    sample = _sample(run, network)
    network.to("meta")
    on_meta = {"images": sample.images.to("meta"), "labels": sample.labels.to("meta")}
    with Answers():
        omega = run.sensitivity(replace(sample, cache=None, **on_meta))
        assert all(isinstance(omega(layer.name, 4, 4), float) for layer in network.layers)


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_resumes_and_is_lowered_on_cuda(tmp_path, method):
    choices = (f"method={method}", "start=train", "trainer.hardware.accelerator=cuda")
    first = whole(configuration(tmp_path, *choices))
    assert "CPU" not in first["hardware"]
    assert first["integer"]["mismatched_logits"] == first["integer"]["mismatched_vs_float64"] == 0
    (tmp_path / "runs" / first["name"] / "summary.json").unlink()
    assert whole(configuration(tmp_path, *choices))["top1"] == first["top1"]
