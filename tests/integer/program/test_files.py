"""Programs on disk: what is written comes back, and nothing that was changed is believed."""

import io
import json
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.program.pieces import after_pixels
from tests.integer.program.saved import attempt, sample
from tests.integer.random_programs import programs, random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program import files
from dyadic.integer.program.files import MEMBER, load_proof, save, stored_bytes
from dyadic.integer.program.operations import Dyadic, Program, Relu, Weights
from dyadic.integer.program.requirements import ProgramError


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
    loaded = load_proof(directory).program
    assert replace(loaded, operations=()) == replace(program, operations=())
    for a, b in zip(program.operations, loaded.operations, strict=True):
        assert type(a) is type(b)
        assert all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    images = random_images(program, 2)
    assert np.array_equal(ReferenceEngine(loaded).run(images), ReferenceEngine(program).run(images))


def test_a_program_without_weights_and_fields_in_any_order(tmp_path: Path) -> None:
    program = after_pixels(Relu("relu", ("input",)))
    assert save(program, tmp_path) == 0
    path = tmp_path / "program.json"
    tree = json.loads(path.read_text())
    assert tree["version"] == 2
    path.write_text(json.dumps(dict(reversed(tree.items()))))
    assert load_proof(tmp_path).program == program


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
        load_proof(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "compression"), [("other.npy", zipfile.ZIP_STORED), (MEMBER, zipfile.ZIP_DEFLATED)]
)
def test_the_right_weights_are_in_the_right_place(saved: Path, name: str, compression: int) -> None:
    path = saved / "weights.npz"
    with zipfile.ZipFile(path) as file:
        right = file.read(MEMBER)
    path.write_bytes(archive(MEMBER, right))
    load_proof(saved)
    path.write_bytes(archive(name, right, compression))
    with pytest.raises(ProgramError, match=r"one uncompressed packed\.npy expected"):
        load_proof(saved)


@pytest.mark.parametrize(("file", "most"), [("weights.npz", 2**30), ("program.json", 2**26)])
def test_a_file_that_is_too_large_is_not_read(
    saved: Path, file: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = "WEIGHT_BYTES" if file == "weights.npz" else "JSON_BYTES"
    monkeypatch.setattr(files, limit, (saved / file).stat().st_size)
    load_proof(saved)
    monkeypatch.undo()
    with (saved / file).open("r+b") as sparse:
        sparse.truncate(most + 1)
    with pytest.raises(ProgramError, match=f"{file}: larger than {most} bytes"):
        load_proof(saved)


@pytest.mark.parametrize("file", ["weights.npz", "program.json"])
def test_missing_and_truncated_files_are_refused(saved: Path, file: str) -> None:
    whole = (saved / file).read_bytes()
    for end in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        (saved / file).write_bytes(whole[:end])
        with pytest.raises(ProgramError):
            load_proof(saved)
    (saved / file).unlink()
    with pytest.raises(ProgramError, match="No such file"):
        load_proof(saved)


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
