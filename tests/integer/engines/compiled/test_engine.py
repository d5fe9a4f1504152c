"""The compiled engine equals the reference on every tensor, on every path of this processor."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.engines.compiled.compiled_paths import assert_equal, layer
from tests.integer.random_programs import programs, random_images
from tests.integer.resnet20 import resnet20

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import CompiledEngine, available_paths, binding
from dyadic.integer.engines.compiled.engine import BATCH
from dyadic.integer.engines.compiled.winograd import ALGORITHMS
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import (
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    Normalize,
    Program,
    Requantize,
    SumPool,
)


@given(programs())
@settings(max_examples=40, deadline=None)
def test_random_programs_equal_the_reference(program):
    assert_equal(program, random_images(program, 3))


def test_residual_network_equals_the_reference():
    assert_equal(resnet20(bits=4), random_images(resnet20(bits=4), 3))


def residual(clamp=(0, 2**31 - 1), logits_read_sum=False) -> Program:
    """conv -> Add -> rescalings to 8 and 16 bits, as lowering writes a residual block."""
    rng = np.random.default_rng(2)

    def conv(name, source, size, out):
        weights = layer(rng, (24, 24, size, size), -127, 127)
        scale = dyadic(rng.uniform(0.5, 1, 24) * out[1] / 2**18)
        padding = (size // 2, size // 2)
        return Conv(name, (source,), weights, np.zeros(24, int), scale, *out, padding=padding)

    wide, byte = (-32767, 32767), (0, 255)
    operations = (
        Normalize("codes", ("input",), np.zeros(24, int), dyadic(1 / 256), *byte),
        conv("side", "codes", 1, wide),
        conv("first", "codes", 3, byte),
        conv("second", "first", 3, wide),
        Add("sum", ("second", "side"), *clamp),
        Requantize("next", ("sum",), dyadic(1 / 300), *byte),
        Requantize("stream", ("sum",), dyadic(0.7), *wide),
        conv("third", "next", 3, wide),
        Add("again", ("stream", "third"), *clamp),
        SumPool("pooled", ("sum" if logits_read_sum else "again",), (5, 6), (5, 6), (0, 0)),
        Flatten("logits", ("pooled",)),
    )
    return Program("residual", (24, 5, 6), operations, 1.0)


@pytest.mark.parametrize("clamp", [(0, 2**31 - 1), (-3000, 2500)])
@pytest.mark.parametrize("logits_read_sum", [False, True])
def test_residual_additions_join_their_layer(clamp, logits_read_sum):
    program = residual(clamp, logits_read_sum)
    assert_equal(program, random_images(program, 2))


def test_concatenations_share_and_copy():
    """Twice the same tensor, a nested concatenation, another type: some slices must be copies."""
    rng = np.random.default_rng(3)

    def conv(name, source, channels, out):
        weights, scale = layer(rng, (8, channels, 3, 3), -7, 7), dyadic(0.01)
        return Conv(name, (source,), weights, np.zeros(8, int), scale, *out, padding=(1, 1))

    operations = (
        conv("a", "input", 2, (0, 255)),
        conv("b", "a", 8, (0, 255)),
        conv("c", "a", 8, (-100, 100)),
        Concat("ab", ("a", "b")),
        Concat("all", ("ab", "b", "c", "input")),
        conv("d", "all", 34, (-128, 127)),
        Concat("last", ("d", "all")),
        Flatten("logits", ("last",)),
    )
    program = Program("concat", (2, 6, 5), operations, 1.0)
    assert_equal(program, random_images(program, 2))


def test_fully_connected_layers_take_the_batch_as_pixels():
    rng = np.random.default_rng(4)
    operations = (
        Flatten("flat", ("input",)),
        Linear("hidden", ("flat",), layer(rng, (70, 48), -127, 127), np.arange(70), dyadic(1e-3),
               0, 255),
        Linear("logits", ("hidden",), layer(rng, (11, 70), -127, 127), np.arange(11),
               Dyadic(np.array([2**30]), np.array([30])), -(2**31), 2**31 - 1),
    )  # fmt: skip
    program = Program("linear", (3, 4, 4), operations, 1.0)
    assert_equal(program, random_images(program, 7))


def test_any_number_of_images_in_any_order_of_sizes():
    program = resnet20(size=12)
    images = random_images(program, 2 * BATCH + 3)
    expected = ReferenceEngine(program).run(images)
    engine = CompiledEngine(program)
    for count in (1, 3, 2 * BATCH + 3, 0, 2):
        assert np.array_equal(engine.run(images[:count]), expected[:count])


def test_images_need_not_be_contiguous():
    program = resnet20(size=12)
    images = random_images(program, 4).transpose(0, 1, 3, 2)
    assert np.array_equal(CompiledEngine(program).run(images), ReferenceEngine(program).run(images))


def test_other_images_are_refused():
    engine = CompiledEngine(resnet20(size=12))
    with pytest.raises(UserError, match="the program takes"):
        engine.run(np.zeros((1, 1, 13, 12), np.uint8))


@pytest.mark.parametrize("path", ["neon", "avx2", "neon_dotprod"])
def test_a_path_that_is_not_there_is_refused(monkeypatch, path):
    monkeypatch.setattr(
        "dyadic.integer.engines.compiled.engine.available_paths", lambda: ("portable",)
    )
    with pytest.raises(UserError, match=f"path={path} is not available here; this processor has"):
        CompiledEngine(resnet20(size=12), path=path)


def test_an_unknown_kind_of_step_is_refused():
    engine = CompiledEngine(resnet20(size=12))
    plan = engine._planned.plan
    assert engine._planned.library.dy_knows(plan)
    plan.steps[3].kind = len(binding.STEPS)
    assert not engine._planned.library.dy_knows(plan)
    assert engine._planned.library.dy_open(plan, 1, 1) is None


def test_it_says_how_layers_are_computed():
    program = resnet20(size=12)
    for path in available_paths():
        made = CompiledEngine(program, path=path).algorithms
        assert list(made) == [op.name for op in program.operations if isinstance(op, Linear)]
        named = {algorithm.name for algorithm in ALGORITHMS}
        assert set(made.values()) <= {"direct", "plain", *named}
        assert (set(made.values()) == {"plain"}) == (path == "portable")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads):
    program = resnet20(size=16)
    images = random_images(program, 5)
    expected = ReferenceEngine(program).run(images)
    engine = CompiledEngine(program, threads=threads)
    for _ in range(20):
        assert np.array_equal(engine.run(images), expected)


def test_one_engine_serves_several_threads():
    program = resnet20(size=12)
    images = random_images(program, 3)
    expected = ReferenceEngine(program).run(images)
    engine, results = CompiledEngine(program), []
    callers = [
        threading.Thread(target=lambda: results.append(engine.run(images))) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_use_its_parents_engine():
    program = resnet20(size=12)
    images = random_images(program, 3)
    engine = CompiledEngine(program, threads=2)
    expected = engine.run(images)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(engine.run(images), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
