"""The check passes only for equal engines, and says where others first differ."""

from dataclasses import dataclass

import numpy as np
import pytest
from tests.integer.random_programs import random_images

from dyadic.errors import UserError
from dyadic.integer.engines.available import Engines, engines
from dyadic.integer.engines.check import CheckReport, compare, first_difference
from dyadic.integer.engines.compiled import CompilerNotFound
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Flatten, Linear, Program, Relu, SumPool, Weights

LABELS = np.array([0, 0, 1, 1])


def program() -> Program:
    """Two operations on 2 x 2 pixels before three logits."""
    pool = SumPool("pool", ("input",), (1, 2), (1, 1), (0, 0))
    weights = Weights(np.array([[0, 1], [1, 0], [1, 1]], np.uint8), np.array([-1, 2]), 1)
    layer = Linear("logits", ("flat",), weights, np.arange(3), dyadic(0.5), -500, 500)
    operations = (pool, Relu("relu", ("pool",)), Flatten("flat", ("relu",)), layer)
    return Program("tiny", (1, 2, 2), operations, 0.1)


@dataclass
class Wrong:
    """The reference with one value of one tensor raised, and the last logit of one image."""

    inner: ReferenceEngine
    image: int = 2
    name: str = "relu"
    at: tuple[int, ...] = (0, 1, 0)

    def run(self, images: np.ndarray) -> np.ndarray:
        logits = self.inner.run(images)
        logits[self.image, 2] += 1
        return logits

    def trace(self, images: np.ndarray) -> dict[str, np.ndarray]:
        tensors = self.inner.trace(images)
        tensors[self.name][(0, *self.at)] += 7
        return tensors


@pytest.fixture
def reference() -> ReferenceEngine:
    return ReferenceEngine(program())


@pytest.fixture
def images() -> np.ndarray:
    return random_images(program(), 4)


def run(*engines: object, images: np.ndarray, **logits: np.ndarray) -> CheckReport:
    names = ("reference", "compiled", "onnx")
    return compare(Engines(dict(zip(names, engines, strict=False)), []), images, LABELS, **logits)


def test_equal_engines_pass(reference: ReferenceEngine, images: np.ndarray) -> None:
    report = run(reference, reference, images=images, float64=reference.run(images))
    assert report.passed
    assert (report.images, report.mismatched_logits, report.mismatched_vs_float64) == (4, 0, 0)
    predictions = reference.run(images).argmax(1)
    assert report.top1 == 100 * (predictions == LABELS).mean()
    assert np.array_equal(report.predictions, predictions)
    assert "passed" in str(report)


def test_the_first_layer_channel_and_pixel_are_named(
    reference: ReferenceEngine, images: np.ndarray
) -> None:
    report = run(reference, reference, Wrong(reference), images=images)
    assert not report.passed
    assert report.mismatched_logits == 1
    value = int(reference.trace(images[2:3])["relu"][0, 0, 1, 0])
    assert report.first_difference == (
        "onnx against reference, image 2: "
        f"relu, channel 0, row 1, column 0: {value + 7} instead of {value}"
    )
    assert report.first_difference in str(report)


def test_a_difference_that_one_image_alone_does_not_show(
    reference: ReferenceEngine, images: np.ndarray
) -> None:
    wrong = Wrong(reference)
    wrong.trace = reference.trace
    report = run(reference, wrong, images=images)
    assert "only in a batch" in report.first_difference


def test_the_float64_network_counts(reference: ReferenceEngine, images: np.ndarray) -> None:
    float64 = reference.run(images).astype(np.int64)
    float64[3] += 1
    report = run(reference, images=images, float64=float64)
    assert not report.passed
    assert report.mismatched_vs_float64 == 3
    assert "image 3" in report.first_difference


def test_the_float32_network_is_reported_only(
    reference: ReferenceEngine, images: np.ndarray
) -> None:
    float32 = np.zeros((4, 3))
    chosen = reference.run(images).argmax(1)
    chosen[1] = (chosen[1] + 1) % 3
    float32[np.arange(4), chosen] = 1
    report = run(reference, images=images, float32=float32)
    assert report.passed
    assert report.float32_top1_disagreement == 25
    assert report.mismatched_vs_float64 is None


def test_traces_are_compared_in_the_programs_order() -> None:
    zeros, ones = np.zeros((1, 2), int), np.ones((1, 2), int)
    assert first_difference({"a": zeros, "b": zeros}, {"b": ones, "a": zeros}).startswith("b, ")
    assert first_difference({"a": zeros, "b": zeros}, {"b": ones, "a": ones}).startswith("a, ")
    assert first_difference({"a": zeros}, {"a": zeros.copy()}) == ""


def test_every_engine_of_this_machine_takes_part(images: np.ndarray) -> None:
    found = engines(program())
    assert next(iter(found.available)) == "reference"
    assert "onnx" in found.available
    assert len(found.available) + len(found.missing) == 3
    report = compare(found, images, LABELS)
    assert report.passed
    assert report.engines == list(found.available)


def test_without_a_compiler_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch, images: np.ndarray
) -> None:
    def missing(program: Program) -> None:
        raise CompilerNotFound("no C compiler found")

    monkeypatch.setattr("dyadic.integer.engines.available.CompiledEngine", missing)
    found = engines(program())
    assert list(found.available) == ["reference", "onnx"]
    report = compare(found, images, LABELS)
    assert report.passed
    assert "no C compiler" in str(report)


def test_images_of_another_shape_are_refused(reference: ReferenceEngine) -> None:
    with pytest.raises(UserError, match="the program takes"):
        run(reference, images=np.zeros((4, 3, 2, 2), np.uint8))
