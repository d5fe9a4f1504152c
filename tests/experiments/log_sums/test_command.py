"""Log-domain accumulation of a whole network: an approximation with the error that it reports."""

import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from experiments.log_sums.arithmetic import approximate_product
from experiments.log_sums.command import log_domain
from experiments.log_sums.engine import LogDomainEngine
from tests.runs import configuration, rows_of

from dyadic.__main__ import main
from dyadic.commands.build import run
from dyadic.errors import UserError
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic, requantize
from dyadic.integer.program.files import load_proof
from dyadic.integer.program.operations import Conv, Flatten, Normalize, Program, Threshold, Weights

LOG = ("method=log2", "quantizer/activation=log2", "allocation=weights_and_activations", "bits=4")
UNIT = dyadic(1.0)
LEVELS = np.array([-4, -2, -1, 0, 1, 2, 4])


def tiny_program(groups: int = 2) -> tuple[Program, np.ndarray]:
    """Pixels, log codes, one grouped convolution with stride and padding; and its weights."""
    codes = np.random.default_rng(0).integers(0, 7, (4, 4 // groups, 3, 3)).astype(np.uint8)
    codes[:, 0, 0, 0] = [6, 0, 4, 2]  # no filter of zeros
    weights = Weights(codes, LEVELS, 4)
    conv = Conv(
        "conv", ("log",), weights, np.array([5, -5, 0, 9]), UNIT, -(2**20), 2**20,
        stride=(2, 2), padding=(1, 1), groups=groups,
    )  # fmt: skip
    operations = (
        Normalize("pixels", ("input",), np.zeros(4, dtype=np.int64), dyadic(1 / 256), 0, 255),
        Threshold("log", ("pixels",), np.array([8, 64, 160]), np.array([0, 1, 2, 8])),
        conv,
        Flatten("flat", ("conv",)),
    )
    return Program("tiny", (4, 7, 7), operations, 1.0), LEVELS[codes]


@pytest.mark.parametrize("floor", [True, False])
def test_a_convolution_is_the_approximate_product_of_its_patches(floor):
    program, weight = tiny_program()
    images = np.random.default_rng(1).integers(0, 256, (3, 4, 7, 7)).astype(np.uint8)
    engine = LogDomainEngine(program, floor)
    found = engine.trace(images)
    codes = torch.from_numpy(found["log"]).double()
    patches = F.unfold(codes, 3, padding=1, stride=2)
    for image, group in ((0, 0), (2, 1)):
        filters = slice(2 * group, 2 * group + 2)
        x = patches[image, 18 * group : 18 * group + 18]
        w = torch.from_numpy(weight[filters]).double().flatten(1)
        acc = approximate_product(w, x, floor).round().long() + torch.tensor(
            [[5], [-5], [0], [9]][filters]
        )
        expected = requantize(acc, UNIT, -(2**20), 2**20).reshape(2, 4, 4)
        assert np.array_equal(found["conv"][image, filters], expected.numpy())


def test_the_reported_error_is_that_of_the_sums():
    program, _ = tiny_program()
    images = np.random.default_rng(2).integers(0, 256, (5, 4, 7, 7)).astype(np.uint8)
    engine, exact = LogDomainEngine(program), ReferenceEngine(program)
    bias = np.array([5, -5, 0, 9]).reshape(1, -1, 1, 1)
    sums, true = (e.trace(images)["conv"].astype(float) - bias for e in (engine, exact))
    assert engine.errors["conv"].terms == 18
    found = np.abs(sums - true).sum() / np.abs(true).sum()
    assert 0.001 < found < 0.2
    # The program rounds the sums to integers; the error is that of the sums as they are.
    assert engine.errors["conv"].relative == pytest.approx(found, abs=0.05)


def test_only_layers_with_powers_of_two_on_both_sides_are_approximate(tmp_path):
    summary = run(configuration(tmp_path, *LOG))
    program = load_proof(tmp_path / "runs" / summary["name"]).program
    layers = [row["layer"] for row in rows_of(tmp_path / "runs" / summary["name"] / "layers.csv")]
    assert list(LogDomainEngine(program).errors) == layers[1:]  # the first one reads the image


def test_a_run_is_evaluated_beside_its_exact_program(tmp_path, capsys):
    summary = run(configuration(tmp_path, *LOG))
    directory = tmp_path / "runs" / summary["name"]
    assert main(["log_domain", str(directory), "--images", "40"]) == 0
    assert "without_floor" in capsys.readouterr().out
    after = json.loads((directory / "summary.json").read_text())
    found = after.pop("log_domain")
    assert after == summary
    assert found["images"] == 40
    assert 0 < found["relative_error"] < 0.5
    assert found["gain"] == pytest.approx(1, abs=0.1)
    assert found["gain_without_floor"] < 0.85  # on the way to ln 2
    rows = rows_of(tmp_path / "runs" / summary["name"] / "log_domain.csv")
    assert rows[0]["accumulation"] == "linear, exact"
    assert {row["accumulation"] for row in rows[1:]} == {"log domain, approximate"}
    mean = np.mean([float(row["relative_error"]) for row in rows[1:]])
    assert found["relative_error"] == pytest.approx(mean, abs=1e-4)


def test_a_program_without_such_layers_is_refused():
    program, _ = tiny_program()
    operations = (program.operations[0], *program.operations[2:])
    conv = operations[1].__class__(**{**operations[1].__dict__, "inputs": ("pixels",)})
    linear = Program("linear", (4, 7, 7), (operations[0], conv, operations[2]), 1.0)
    with pytest.raises(UserError, match="quantizer/activation=log2"):
        log_domain(linear, np.zeros((1, 4, 7, 7), dtype=np.uint8), np.zeros(1))


def test_a_folder_without_a_run_is_one_line_and_exit_code_two(tmp_path, capsys):
    assert main(["log_domain", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_where_the_repository_is_not_at_hand_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.log_sums.command", None)
    assert main(["log_domain", str(tmp_path)]) == 2
    assert "run it in a clone" in capsys.readouterr().err
