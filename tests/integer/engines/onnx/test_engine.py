"""ONNX Runtime computes the reference's integers, from a graph of integers alone."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tests.integer.random_programs import programs, random_images
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.onnx.engine import OnnxEngine, export_onnx
from dyadic.integer.engines.onnx.graph import Graph, Term
from dyadic.integer.engines.onnx.layers import common_shift, weight_digits
from dyadic.integer.engines.onnx.operations import onnx_model
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic, requantize, requantize_pair
from dyadic.integer.program.operations import (
    INT32,
    Dyadic,
    Flatten,
    Linear,
    Program,
    Threshold,
    Weights,
)
from dyadic.integer.program.requirements import ProgramError

INTEGERS = {
    TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT64
}  # fmt: skip


def same(program: Program, count: int = 3) -> bool:
    """Every tensor of every operation is equal in both engines, and so are the logits."""
    images, engine, reference = (
        random_images(program, count), OnnxEngine(program), ReferenceEngine(program)
    )  # fmt: skip
    ours, theirs = reference.trace(images), engine.trace(images)
    logits = engine.run(images)
    return (
        ours.keys() == theirs.keys()
        and all(np.array_equal(ours[name], theirs[name]) for name in ours)
        and logits.dtype == np.int32
        and np.array_equal(logits, reference.run(images))
    )


@settings(max_examples=50, deadline=None)
@given(programs())
def test_random_programs_agree_in_every_tensor(program: Program) -> None:
    assert same(program)


def test_a_program_of_resnet20s_size_agrees() -> None:
    assert same(resnet20(bits=8))


@settings(max_examples=15, deadline=None)
@given(programs())
def test_the_graph_holds_integers_alone(program: Program) -> None:
    model = onnx.shape_inference.infer_shapes(onnx_model(program), strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info)}
    kinds |= {v.name: v.type.tensor_type.elem_type for v in graph.output}
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    made = {name for node in graph.node for name in node.output}
    assert made <= kinds.keys()
    assert set(kinds.values()) <= INTEGERS
    assert [(v.name, kinds[v.name]) for v in graph.input] == [("input", TensorProto.UINT8)]
    assert [kinds[v.name] for v in graph.output] == [TensorProto.INT32]
    assert not {node.op_type for node in graph.node} & {"Div", "Mod", "AveragePool", "Reciprocal"}


@settings(max_examples=15, deadline=None)
@given(programs())
def test_no_comparison_of_64_bit_numbers(program: Program) -> None:
    """ONNX Runtime's are wrong for some beyond 32 bits (its pull request 25280)."""
    graph = onnx.shape_inference.infer_shapes(onnx_model(program)).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    for node in graph.node:
        if node.op_type in ("Clip", "Max", "Min", "Less", "Greater", "Where", "Sign", "Abs"):
            assert kinds[node.output[0]] == TensorProto.INT32


def run_graph(graph: Graph, output: str, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """One int64 or int32 tensor of a graph under construction."""
    inputs = [
        helper.make_tensor_value_info(k, TensorProto.INT64, ["N", *v.shape[1:]])
        for k, v in feeds.items()
    ]
    made = onnx.ValueInfoProto(name=output)
    proto = helper.make_graph(graph.nodes, "g", inputs, [made], list(graph.constants.values()))
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    model = onnx.shape_inference.infer_shapes(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run([output], feeds)[0])


def spread(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Both signs, all magnitudes up to 2^bits alike, and the ends."""
    widths = rng.integers(0, bits + 1, shape)
    numbers = rng.integers(-(1 << widths), 1 << widths)
    numbers.flat[:5] = 0, -1, 1, 2**bits, -(2**bits)
    return numbers


def test_shift_and_saturation_are_exact() -> None:
    """Also between 2^31 and 2^33, where 64-bit comparisons of ONNX Runtime go wrong."""
    x = spread(np.random.default_rng(0), (3000, 7), 62)
    count = np.array([[0, 1, 7, 30, 31, 32, 62]])
    graph = Graph()
    assert np.array_equal(run_graph(graph, graph.shift_right("x", count), {"x": x}), x >> count)
    graph = Graph()
    assert np.array_equal(run_graph(graph, graph.saturate("x"), {"x": x}), x.clip(*INT32))


@pytest.mark.parametrize("bits", [8, 30, 31, 45, 61])
@pytest.mark.parametrize("clamp", [(-128, 127), INT32])
def test_requantization_equals_the_rule(bits: int, clamp: tuple[int, int]) -> None:
    rng, channels = np.random.default_rng(bits), 9
    b, odd_b = rng.integers(2**30, 2**31, (2, channels)) * rng.choice([-1, 1], (2, channels))
    c = rng.integers(max(0, bits - 30), 63, channels)
    scale, odd = Dyadic(b, c), Dyadic(odd_b, c)
    x, y = (spread(rng, (2000, channels), bits) for _ in range(2))
    terms = [Term("x", scale, np.abs(x).max(0)), Term("y", odd, np.abs(y).max(0))]
    graph = Graph()
    got = run_graph(graph, graph.requantize(terms[:1], clamp, 1, "z"), {"x": x})
    assert np.array_equal(got, requantize(x, scale, *clamp))
    graph = Graph()
    got = run_graph(graph, graph.requantize(terms, clamp, 1, "z"), {"x": x, "y": y})
    assert np.array_equal(got, requantize_pair(x, y, scale, odd, *clamp))


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=9), st.integers(0, 24))
def test_weights_are_what_no_power_of_two_divides_times_it(odd: list[int], t: int) -> None:
    weights = np.array([*odd, 1]) << t
    assert common_shift(weights) == t
    assert common_shift(np.zeros((2, 3), np.int64)) == 0


@pytest.mark.parametrize(("levels", "products"), [([-64, 0, 32], 1), ([-112, 96], 1), ([127], 2)])
def test_weights_of_few_bits_are_one_product(levels: list[int], products: int) -> None:
    program = wide(np.resize(levels, (1, 6)))
    kinds = [node.op_type for node in onnx_model(program).graph.node]
    assert kinds.count("MatMulInteger") == products
    assert same(program, 40)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=9))
def test_weight_digits_add_up(weights: list[int]) -> None:
    digits = weight_digits(np.array(weights))
    assert all(d.dtype == np.int8 and d.min() >= -64 and d.max() <= 63 for d in digits)
    assert sum(d.astype(np.int64) << 7 * i for i, d in enumerate(digits)).tolist() == weights


@pytest.mark.parametrize("values", [[-256, -35], [-1, 255], [3, 500], [-(2**31), 2**31 - 1]])
def test_inputs_of_any_width_and_sign(values: list[int]) -> None:
    """Zero points of more than 8 bits, and inputs that are never 0."""
    made = Threshold("made", ("input",), np.array([128]), np.array(values))
    weights = Weights(np.array([[0, 1, 1]], np.uint8), np.array([-1, 1]), 1)
    layer = Linear("layer", ("flat",), weights, np.array([5]), dyadic(0.25), *INT32)
    operations = (made, Flatten("flat", ("made",)), layer)
    assert same(Program("wide", (3, 1, 1), operations, 1.0), 40)


def test_the_exported_file_is_what_runs(tmp_path: Path) -> None:
    program = resnet20(bits=3)
    export_onnx(program, tmp_path / "program.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["program.onnx"]
    images = random_images(program, 3)
    exported = OnnxEngine(program, tmp_path / "program.onnx").run(images)
    assert np.array_equal(exported, ReferenceEngine(program).run(images))
    (pixels,) = onnx.load(tmp_path / "program.onnx").graph.input
    shape = [d.dim_param or d.dim_value for d in pixels.type.tensor_type.shape.dim]
    assert shape == ["N", 1, 28, 28]


def test_another_or_a_damaged_export_is_refused(tmp_path: Path) -> None:
    program, path = resnet20(bits=3), tmp_path / "program.onnx"
    with pytest.raises(ProgramError, match="No such file"):
        OnnxEngine(program, path)
    export_onnx(resnet20(bits=3, size=32), path)
    with pytest.raises(ProgramError, match=r"program.onnx: its input or output"):
        OnnxEngine(program, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ProgramError, match=r"program.onnx: damaged") as caught:
        OnnxEngine(program, path)
    assert "\n" not in str(caught.value)


def wide(weights: np.ndarray) -> Program:
    """A fully connected layer on many pixels."""
    levels, codes = np.unique(weights, return_inverse=True)
    stored = Weights(codes.reshape(weights.shape).astype(np.uint8), levels, 3)
    layer = Linear("wide", ("flat",), stored, np.array([3]), dyadic(2.0**-9), *INT32)
    return Program("wide", (1, 1, weights.shape[1]), (Flatten("flat", ("input",)), layer), 1.0)


def test_sums_of_digits_are_bounded_by_the_weights_not_by_their_number() -> None:
    weights = np.random.default_rng(0).integers(-2, 3, (1, 200_000))
    assert same(wide(weights))
    with pytest.raises(ProgramError, match="a sum of digits"):
        OnnxEngine(wide(weights * 0 - 63))
