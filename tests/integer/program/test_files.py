"""Programs on disk: what is written comes back, and nothing that was changed is believed."""

import io
import json
import zipfile
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integer.random_programs import Builder, programs, random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.files import ADDED, _Reader, checksum, load, save, stored_bytes
from dyadic.integer.program.operations import (
    Dyadic,
    Flatten,
    Linear,
    MaxPool,
    Program,
    SumPool,
    Weights,
)
from dyadic.integer.program.packing import pack, packed_bytes, unpack
from dyadic.integer.program.requirements import ProgramError


@given(st.integers(1, 16), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_packing_keeps_every_code(bits: int, count: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 2**bits, count, np.uint16)
    packed = pack(codes, bits)
    assert len(packed) == packed_bytes(count, bits)
    assert np.array_equal(unpack(packed, count, bits), codes)
    # The definition: code i holds bits i * bits .. of one long little-endian number.
    number = sum(int(code) << i * bits for i, code in enumerate(codes))
    assert number == int.from_bytes(packed.tobytes(), "little")


def test_packing_joins_its_blocks() -> None:
    codes = np.random.default_rng(0).integers(0, 32, 2**17 + 5, np.uint8)
    assert np.array_equal(unpack(pack(codes, 5), len(codes), 5), codes)


def same(a: Any, b: Any) -> bool:
    """Equality of operations, arrays by value."""
    if isinstance(a, Weights):
        return a.bits == b.bits and all(map(np.array_equal, a.planes, b.planes))
    if isinstance(a, Dyadic):
        return np.array_equal(a.b, b.b) and np.array_equal(a.c, b.c)
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


@settings(max_examples=50, deadline=None)
@given(program=programs())
def test_what_is_written_comes_back(tmp_path_factory: Any, program: Program) -> None:
    directory = tmp_path_factory.mktemp("program")
    assert save(program, directory) == stored_bytes(program)
    loaded = load(directory)
    assert replace(loaded, operations=()) == replace(program, operations=())
    for a, b in zip(program.operations, loaded.operations, strict=True):
        assert type(a) is type(b)
        assert all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    images = random_images(program, 2)
    assert np.array_equal(ReferenceEngine(loaded).run(images), ReferenceEngine(program).run(images))


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_the_file_is_as_large_as_its_weights(tmp_path: Path, bits: int) -> None:
    program = resnet20(bits)
    save(program, tmp_path)
    weights = sum(o.weights.codes.size for o in program.operations if hasattr(o, "weights"))
    assert stored_bytes(program) == pytest.approx(weights * bits / 8, rel=1e-3)
    assert (tmp_path / "weights.npz").stat().st_size == pytest.approx(weights * bits / 8, rel=0.02)


def test_numpy_reads_the_weights_without_pickle(tmp_path: Path) -> None:
    program = resnet20(5)
    save(program, tmp_path)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        assert stored["packed"].nbytes == stored_bytes(program)


def test_a_program_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    for changes in ({"name": "two\nlines"}, {"logit_scale": float("nan")}, {"operations": ()}):
        with pytest.raises(ProgramError):
            save(replace(random_program(1), **changes), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A program with every kind of field: two planes, thresholds, pools, residuals."""
    save(sample(), tmp_path)
    return tmp_path


@cache
def sample() -> Program:
    builder = Builder(np.random.default_rng(0), (2, 8, 8))
    name = builder.threshold(builder.residual(builder.conv(builder.normalize("input"))))
    size = builder.shape(name)[1:]
    pooled = builder.add(MaxPool("pool", (name,), (1, size[1]), (1, 1), (0, 0), False))
    flat = builder.add(Flatten("flat", (pooled,)))
    builder.layer(flat, Linear, (3, *builder.shape(flat)), hi=2**20)
    return builder.program()


def change(directory: Path, edit: Any) -> None:
    path = directory / "program.json"
    tree = json.loads(path.read_text())
    whole = tree["sha256"]
    edit(tree)
    if tree.get("sha256") == whole and "version" in tree:  # so that not the checksum refuses it
        with np.load(directory / "weights.npz") as stored:
            tree["sha256"] = checksum(tree, stored["packed"])
    path.write_text(json.dumps(tree))


def first(tree: dict, kind: str) -> dict:
    return next(o for o in tree["operations"] if o["operation"] == kind)


EDITS = {
    "format": lambda t: t.update(format="other"),
    "version": lambda t: t.update(version=3),
    "version is a bool": lambda t: t.update(version=True),
    "missing header field": lambda t: t.pop("note"),
    "unknown header field": lambda t: t.update(extra=1),
    "name is a number": lambda t: t.update(name=3),
    "name is endless": lambda t: t.update(name="x" * 10**5),
    "logit scale 0": lambda t: t.update(logit_scale=0),
    "input shape of two": lambda t: t.update(input_shape=[3, 4]),
    "input shape of floats": lambda t: t.update(input_shape=[3.0, 4, 4]),
    "input shape is huge": lambda t: t.update(input_shape=[2**40, 2**40, 2**40]),
    "no operations": lambda t: t.update(operations=[]),
    "operations are an object": lambda t: t.update(operations={}),
    "an operation is a list": lambda t: t["operations"].append([]),
    "unknown operation": lambda t: t["operations"][0].update(operation="Softmax"),
    "operation without a kind": lambda t: t["operations"][0].pop("operation"),
    "unknown field": lambda t: first(t, "Conv").update(extra=1),
    "missing field": lambda t: first(t, "Conv").pop("bias"),
    "missing weights": lambda t: first(t, "Conv").pop("weights"),
    "weights are null": lambda t: first(t, "Conv").update(weights=None),
    "name used twice": lambda t: t["operations"][1].update(name=t["operations"][0]["name"]),
    "undefined input": lambda t: t["operations"][1].update(inputs=["nowhere"]),
    "cycle": lambda t: t["operations"][1].update(inputs=[t["operations"][-1]["name"]]),
    "reads itself": lambda t: t["operations"][1].update(inputs=[t["operations"][1]["name"]]),
    "inputs are text": lambda t: t["operations"][1].update(inputs="input"),
    "wrong weight shape": lambda t: first(t, "Conv")["weights"]["shape"].reverse(),
    "negative shape": lambda t: first(t, "Conv")["weights"].update(shape=[-1, -1, 1, 1]),
    "huge shape": lambda t: first(t, "Conv")["weights"].update(shape=[2**31, 2**31, 9, 9]),
    "empty shape": lambda t: first(t, "Conv")["weights"].update(shape=[]),
    "offset beyond the end": lambda t: first(t, "Conv")["weights"].update(offset=2**40),
    "negative offset": lambda t: first(t, "Conv")["weights"].update(offset=-1),
    "other bits": lambda t: first(t, "Conv")["weights"].update(bits=16),
    "bits is a float": lambda t: first(t, "Conv")["weights"].update(bits=4.0),
    "levels not ascending": lambda t: first(t, "Conv")["weights"].update(levels=[3, 2, 1]),
    "no levels": lambda t: first(t, "Conv")["weights"].update(levels=[]),
    "ragged levels": lambda t: first(t, "Conv")["weights"].update(levels=[[1, 2], [3]]),
    "three planes": lambda t: first(t, "Conv")["weights"].update(levels=[[1], [2], [3]]),
    "level beyond 64 bits": lambda t: first(t, "Conv")["weights"].update(levels=[0, 2**70]),
    "level is text": lambda t: first(t, "Conv")["weights"].update(levels=["1"]),
    "c above 62": lambda t: first(t, "Conv")["scale"].update(c=[63]),
    "c negative": lambda t: first(t, "Conv")["scale"].update(c=[-1]),
    "b of 32 bits": lambda t: first(t, "Conv")["scale"].update(b=[2**31]),
    "b not normalized": lambda t: first(t, "Requantize")["scale"].update(b=[77], c=[9]),
    "b is missing": lambda t: first(t, "Conv")["scale"].pop("b"),
    "two scales for one tensor": lambda t: first(t, "Requantize")["scale"].update(
        b=[2**30, 2**30], c=[31, 31]
    ),
    "bias too long": lambda t: first(t, "Conv")["bias"].append(0),
    "bias is a float": lambda t: first(t, "Conv")["bias"].__setitem__(0, 0.5),
    "bias is a bool": lambda t: first(t, "Conv")["bias"].__setitem__(0, True),
    "bias too large": lambda t: first(t, "Conv")["bias"].__setitem__(0, 2**62),
    "clamp upside down": lambda t: first(t, "Conv").update(lo=9, hi=3),
    "clamp beyond int32": lambda t: first(t, "Conv").update(hi=2**31),
    "stride 0": lambda t: first(t, "Conv").update(stride=[0, 1]),
    "stride of three": lambda t: first(t, "Conv").update(stride=[1, 1, 1]),
    "padding -1": lambda t: first(t, "Conv").update(padding=[-1, 0]),
    "huge padding": lambda t: first(t, "Conv").update(padding=[2**40, 2**40]),
    "groups 0": lambda t: first(t, "Conv").update(groups=0),
    "groups do not divide": lambda t: first(t, "Conv").update(groups=7),
    "thresholds descending": lambda t: first(t, "Threshold")["thresholds"].reverse(),
    "a value missing": lambda t: first(t, "Threshold")["values"].pop(),
    "ceil is a number": lambda t: first(t, "MaxPool").update(ceil=1),
    "pool padding": lambda t: first(t, "MaxPool").update(padding=[9, 9]),
    "padding that C would wrap": lambda t: first(t, "Conv").update(padding=[2**32, 2**32]),
    "padding above the limit": lambda t: first(t, "Conv").update(padding=[2**15 + 1, 0]),
    "dilation that C would wrap": lambda t: first(t, "Conv").update(dilation=[2**31 - 1, 1]),
    "a window of billions": lambda t: first(t, "MaxPool").update(kernel=[2**31 - 1, 1]),
    "a repetition of gigabytes": lambda t: t["operations"].insert(
        1,
        {"operation": "Repeat", "name": "more", "inputs": ["input"], "times": [2**15, 2**15]},
    ),
    "hours of work": lambda t: first(t, "MaxPool").update(
        kernel=[2**15, 2**15], padding=[2**14, 2**14]
    ),
    "an endless scale": lambda t: t.update(logit_scale=10**400),
    "negative input shape": lambda t: t.update(input_shape=[-2, -8, 8]),
    "an escape in a field's name": lambda t: t.update({"\x1b[31m\nred": 1}),
    "an escape in a name": lambda t: t["operations"][0].update(name="\x1b[31m\nred"),
    "half a letter": lambda t: t["operations"][0].update(name="\ud800"),
    "too many operations": lambda t: t["operations"].extend(
        {"operation": "Relu", "name": str(i), "inputs": ["flat"]} for i in range(5000)
    ),
    "checksum": lambda t: t.update(sha256="0" * 64),
    "one layer less": lambda t: t["operations"].pop(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_hand_edited_programs_are_refused(saved: Path, edit: str) -> None:
    change(saved, EDITS[edit])
    with pytest.raises(ProgramError) as caught:
        load(saved)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000


def test_every_file_of_version_1_still_loads(saved: Path) -> None:
    def edit(tree: dict) -> None:
        tree["version"] = 1

    images = random_images(sample(), 2)
    expected = ReferenceEngine(sample()).run(images)
    change(saved, edit)
    assert np.array_equal(ReferenceEngine(load(saved)).run(images), expected)
    pool = {"name": "pool", "inputs": ["t0"], "kernel": [2, 2], "stride": [1, 1], "padding": [0, 0]}
    old = _Reader(np.zeros(0, np.uint8), ADDED).operation({"operation": "SumPool", **pool})
    assert old == SumPool("pool", ("t0",), (2, 2), (1, 1), (0, 0), ceil=False, counted="kernel")
    with pytest.raises(ProgramError, match="ceil, counted expected"):
        _Reader(np.zeros(0, np.uint8), {}).operation({"operation": "SumPool", **pool})


def test_the_operation_is_named(saved: Path) -> None:
    def edit(tree: dict) -> None:
        first(tree, "Conv").update(name="layer3.1.conv2", lo=9, hi=3)
        for operation in tree["operations"]:
            operation["inputs"] = [
                n if n in {o["name"] for o in tree["operations"]} | {"input"} else "layer3.1.conv2"
                for n in operation["inputs"]
            ]

    change(saved, edit)
    with pytest.raises(ProgramError, match=r"'layer3.1.conv2' \(Conv\): clamp from 9 to 3"):
        load(saved)


def archive(name: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(name, data)
    return buffer.getvalue()


def array(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def lying_header() -> bytes:
    """A header that promises 2^50 bytes."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**50,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + b"\0" * 10


DAMAGED = {
    "weights.npz": {
        "empty": b"",
        "text": b"not an archive",
        "pickle": archive("packed.npy", array(np.array([{}], object), allow_pickle=True)),
        "floats": archive("packed.npy", array(np.zeros(8))),
        "other name": archive("weights.npy", array(np.zeros(8, np.uint8))),
        "compressed": archive("packed.npy", array(np.zeros(8, np.uint8)), zipfile.ZIP_DEFLATED),
        "no array": archive("packed.npy", b"\x93NUMPY"),
        "a lying header": archive("packed.npy", lying_header()),
        "too few weights": archive("packed.npy", array(np.zeros(1, np.uint8))),
        "other weights": archive("packed.npy", array(np.zeros(10**5, np.uint8))),
    },
    "program.json": {
        "empty": b"",
        "binary": bytes(range(256)),
        "a list": b"[]",
        "endless nesting": b"[" * 10**6,
        "NaN": b'{"logit_scale": NaN}',
        "twice": b'{"name": 1, "name": 2}',
        "a huge number": b'{"version": ' + b"9" * 10**5 + b"}",
    },
}


@pytest.mark.parametrize(("file", "damage"), [(f, d) for f, all_ in DAMAGED.items() for d in all_])
def test_damaged_files_are_refused(saved: Path, file: str, damage: str) -> None:
    (saved / file).write_bytes(DAMAGED[file][damage])
    with pytest.raises(ProgramError, match=r"program\.json|weights\.npz") as caught:
        load(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["weights.npz", "program.json"])
def test_missing_and_truncated_files_are_refused(saved: Path, file: str) -> None:
    whole = (saved / file).read_bytes()
    for end in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        (saved / file).write_bytes(whole[:end])
        with pytest.raises(ProgramError):
            load(saved)
    (saved / file).unlink()
    with pytest.raises(ProgramError, match="No such file"):
        load(saved)


def attempt(directory: Path) -> Program | str:
    try:
        return load(directory)
    except ProgramError as error:
        return str(error)


@pytest.mark.parametrize("file", ["weights.npz", "program.json"])
def test_any_flipped_bit_is_refused_or_changes_nothing(saved: Path, file: str) -> None:
    """A bit of a number, a weight or a name is found by the checksum; others say nothing."""
    whole, rng = (saved / file).read_bytes(), np.random.default_rng(0)
    images = random_images(sample(), 2)
    expected = ReferenceEngine(sample()).run(images)
    refusals = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (saved / file).write_bytes(damaged)
        found = attempt(saved)
        if isinstance(found, str):
            refusals += 1
            assert found.isprintable()
        else:
            assert np.array_equal(ReferenceEngine(found).run(images), expected)
            assert replace(found, operations=()) == replace(sample(), operations=())
    assert refusals > 100
