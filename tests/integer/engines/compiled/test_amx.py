"""The AMX path equals the reference on processors without AMX: its instructions in plain C.

`emulated_tiles.h` stands in for the tile instructions in a library of the tests' own; everything
else, from choosing the layers to storing what they make, is the engine as it is.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.engines.compiled.test_engine import residual
from tests.integer.engines.compiled.test_layers import (
    CONVOLUTIONS,
    bordered_pixels,
    one_convolution,
)
from tests.integer.random_programs import programs, random_images
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import CompiledEngine, available_paths, build, engine
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.operations import Program

TILES = Path(__file__).with_name("emulated_tiles.h")
PATHS, PRODUCTION = available_paths(), build.FLAGS  # as they are without this file


@pytest.fixture(scope="module", autouse=True)
def _emulated(tmp_path_factory):
    """A library built with emulated tiles, for this file alone."""
    if "vnni" not in PATHS:
        pytest.skip("the AMX path rescales with AVX-512")
    caches = (build.library, engine._bound, engine.available_paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYADIC_CACHE", str(tmp_path_factory.mktemp("emulated")))
        patch.setattr(build, "FLAGS", (*build.FLAGS, f'-DDY_TILES_EMULATED="{TILES}"'))
        for cache in caches:
            cache.cache_clear()
        yield
    for cache in caches:
        cache.cache_clear()


def assert_equal_on_amx(program: Program, images: np.ndarray) -> set[str]:
    """Every tensor and the logits of the fused run; returns the units that computed layers."""
    expected = ReferenceEngine(program).trace(images)
    compiled = CompiledEngine(program, threads=2, path="amx")
    made = compiled.trace(images)
    for name, tensor in expected.items():
        assert np.array_equal(made[name], tensor), name
    logits = expected[program.operations[-1].name]
    for count in (1, len(images)):
        assert np.array_equal(compiled.run(images[:count]), logits[:count]), count
    return {choice.unit for choice in compiled._planned.steps.choices.values()}


@given(programs())
@settings(max_examples=60, deadline=None)
def test_random_programs_equal_the_reference(program):
    assert_equal_on_amx(program, random_images(program, 3))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_of_every_kind(kind):
    program = one_convolution(**CONVOLUTIONS[kind])
    assert_equal_on_amx(program, random_images(program, 3))


@pytest.mark.parametrize("codes", [(0, 255), (-128, 127)])
@pytest.mark.parametrize("weights", [(-127, 127), (-128, 128)])
def test_bytes_run_on_tiles(codes, weights):
    program = one_convolution(codes=codes, weights=weights, channels=(70, 50), padding=(1, 1))
    assert assert_equal_on_amx(program, random_images(program, 2)) == {"amx"}


@pytest.mark.parametrize("width", [1, 15, 16, 17, 31, 32, 33, 65])
def test_rows_of_every_size(width):
    for stride in ((1, 1), (2, 2)):
        size, channels = (3, width), (32, 50)
        program = one_convolution(size=size, channels=channels, padding=(1, 1), stride=stride)
        assert assert_equal_on_amx(program, random_images(program, 2)) == {"amx"}


def test_one_pixel_images_keep_their_borders():
    assert_equal_on_amx(bordered_pixels(), random_images(bordered_pixels(), 8))


def test_residual_networks_equal_the_reference():
    for program in (residual(), resnet20(size=16)):
        assert "amx" in assert_equal_on_amx(program, random_images(program, 9))


def test_emulated_tiles_are_for_this_file_alone():
    """The engine's own library has none, and takes AMX only where the processor has it."""
    assert "amx" in available_paths()
    assert not any("EMULATED" in flag for flag in PRODUCTION)
    assert "amx" not in PATHS or "amx_int8" in build._processor().split()
