"""The door: a network of one's own to a checked program, without Hydra or Lightning."""

import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.runs import ENGINES
from torch import nn

import dyadic

IMAGES = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    layers = OrderedDict(
        stem=nn.Conv2d(3, 8, 3, bias=False),
        norm=nn.BatchNorm2d(8),
        relu=nn.ReLU(),
        flat=nn.Flatten(),
        head=nn.Linear(288, 10),
    )
    return nn.Sequential(layers)


@pytest.fixture(scope="module")
def network(model):
    quantizers = {"weight": dyadic.PowerOfTwo(5), "activation": dyadic.Uniform(8)}
    statistics = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.3)}
    return dyadic.quantize(model, IMAGES, **quantizers, **statistics)


@pytest.fixture(scope="module")
def program(network):
    return dyadic.lower(network)


def test_everything_that_the_door_names_is_there():
    assert all(getattr(dyadic, name) is not None for name in dyadic.__all__)
    assert set(dyadic.__all__) <= set(dir(dyadic))
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        _ = dyadic.quantise


def test_the_door_reaches_the_packages_that_a_notebook_needs():
    found = (dyadic.allocation, dyadic.charts, dyadic.data, dyadic.models)
    assert [module.__name__.rpartition(".")[2] for module in found] == [
        *["allocation", "charts", "data", "models"]
    ]
    assert {"allocation", "charts", "data", "models"} <= set(dir(dyadic))


def test_a_trace_ends_in_the_logits_and_lowered_has_the_same_program(network, program):
    last = program.operations[-1].name
    assert np.array_equal(program.trace(IMAGES)[last], program.run(IMAGES))
    _, found = dyadic.lowered(network)
    assert [x.name for x in found.program.operations] == [x.name for x in program.operations]
    assert found.program.logit_scale == program.logit_scale


def test_importing_dyadic_loads_nothing_heavy():
    code = "import sys, dyadic; print(sorted({'torch', 'numpy', 'hydra'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_library_needs_neither_hydra_nor_lightning():
    heavy = "{'hydra', 'omegaconf', 'pytorch_lightning', 'pandas', 'matplotlib', 'wandb'}"
    code = f"import sys, dyadic.api; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_whole_chain_holds_and_is_checked(network, program):
    labels = program.run(IMAGES).argmax(1)
    report = dyadic.check(network, program, IMAGES, labels)
    assert report.passed
    assert report.engines == ENGINES
    assert report.images == len(IMAGES)
    assert report.mismatched_vs_float64 == 0
    assert report.traced_difference == 0
    assert report.top1 == 100


def test_a_program_of_another_network_does_not_pass(network, model):
    other = dyadic.lower(dyadic.quantize(model, IMAGES, weight=dyadic.Uniform(4)))
    report = dyadic.check(network, other, IMAGES)
    assert not report.passed
    assert "float64" in report.first_difference


def test_files_and_engines_give_the_same_logits(program, tmp_path):
    program.save(tmp_path)
    loaded = dyadic.load(tmp_path)
    for engine in ("reference", "onnx", None):
        np.testing.assert_array_equal(loaded.run(IMAGES, engine), program.run(IMAGES.numpy()))
    assert program.run(IMAGES).dtype == np.int32
    program.export_onnx(tmp_path / "net.onnx")
    program.export_c(tmp_path / "c")
    assert (tmp_path / "net.onnx").stat().st_size > 0
    assert (tmp_path / "c" / "Makefile").exists()


def test_layers_are_called_as_in_the_users_model_and_take_widths_of_their_own(model):
    quantizers = {"weight": dyadic.Uniform(4), "activation": dyadic.Uniform(8)}
    network = dyadic.quantize(model, IMAGES, **quantizers, bits={"head": 8, "stem": (2, 8)})
    assert [layer.name for layer in network.layers] == ["stem", "head"]
    assert [weights.quantizer.bits for _, weights in network.weights()] == [2, 8]


class Branches(nn.Module):
    """As users write them: layers in a dictionary, functions in forward, names of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {"block1-0": nn.Conv2d(3, 8, 3, padding=1), "ü": nn.Conv2d(3, 8, 1)}
        )
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = (F.relu(layer(x)) for layer in self.layers.values())
        pooled = F.adaptive_avg_pool2d(torch.cat([left, right], dim=1), 1)
        return self.head(pooled.view(pooled.size(0), -1))


@pytest.mark.parametrize(
    "model",
    [
        Branches(),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)),
        nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6()), nn.Flatten(), nn.Linear(144, 5)
        ),
    ],
    ids=["dictionary", "sequential", "nested"],
)
def test_models_as_users_write_them_are_lowered_and_checked(model, tmp_path):
    quantizers = {"weight": dyadic.Uniform(8), "activation": dyadic.Uniform(8)}
    network = dyadic.quantize(model, IMAGES, **quantizers)
    program = dyadic.lower(network)
    report = dyadic.check(network, program, IMAGES)
    assert report.passed
    with torch.no_grad():
        expected = model(IMAGES.float() / 255)
    logits = torch.from_numpy(program.run(IMAGES)) * program.logit_scale
    assert (logits - expected).abs().max() <= 0.05 * expected.abs().max()
    program.save(tmp_path)
    np.testing.assert_array_equal(dyadic.load(tmp_path).run(IMAGES), program.run(IMAGES))


def test_the_users_model_stays_as_it_is(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = model.train().training
    dyadic.quantize(model, IMAGES, weight=dyadic.Uniform(2))
    assert model.training == training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_options_of_a_quantizer_reach_every_layer(model):
    network = dyadic.quantize(model, IMAGES, weight=dyadic.PowerOfTwo(3, n1="mse"))
    found = [weights.quantizer for _, weights in network.weights()]
    assert [(q.bits, q.n1) for q in found] == [(3, "mse"), (3, "mse")]
    assert found[0] is not found[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": IMAGES.float()}, r"images are float32 \[16, 3, 8, 8\]; uint8"),
        ({"images": IMAGES[:0]}, r"images are uint8 \[0, 3, 8, 8\]"),
        ({"mean": (0.5,)}, "mean=.*3 channels"),
        ({"bits": {"hed": 4}}, "bits of 'hed': the layers are stem, head"),
        ({"bits": {"head": 99}}, "bits=99"),
    ],
)
def test_what_cannot_be_is_one_line(model, change, message):
    arguments = {"images": IMAGES, "weight": dyadic.Uniform(4)} | change
    with pytest.raises(ValueError, match=message) as error:
        dyadic.quantize(model, **arguments)
    assert isinstance(error.value, dyadic.UserError)
    assert "\n" not in str(error.value)


def test_an_unknown_engine_is_refused_by_name(program):
    with pytest.raises(dyadic.UserError, match="engine='tpu'; it is one of compiled"):
        program.run(IMAGES, engine="tpu")
