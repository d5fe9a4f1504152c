"""The program on disk: `program.json` (what is done) and `weights.npz` (packed weight codes).

`program.json` holds one operation a line, its biases and dyadic numbers as plain integers, and for
each layer the shape, bits and byte offset of its weights. `weights.npz` holds one uint8 array
"packed", `bits` bits a weight and nothing else: the file is as large as the model's reported size.

Reading trusts nothing: no pickle, no size that the file itself does not have, no field without its
type and range, and the proof of `bounds.prove` at the end. What is wrong is a ProgramError of one
line. The "sha256" of the JSON is that of all its other fields and of the weights: a flipped bit in
either file is found. (In version 1 it was that of the weights alone.)
"""

import hashlib
import io
import json
import struct
import zipfile
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from dyadic.integer.program import operations
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.decoding import decode_fields
from dyadic.integer.program.limits import ELEMENTS, JSON_BYTES, TEXT_LETTERS, WEIGHT_BYTES
from dyadic.integer.program.operations import Dyadic, Linear, Operation, Program, Weights
from dyadic.integer.program.packing import pack, packed_bytes, unpack
from dyadic.integer.program.requirements import ProgramError
from dyadic.record.files import write_atomically, write_text

FORMAT, VERSIONS = "dyadic program", (1, 2)
PROGRAM_FILE, WEIGHTS_FILE, MEMBER = "program.json", "weights.npz", "packed.npy"
DAMAGE = (
    *(ArithmeticError, EOFError, LookupError, RuntimeError, ValueError, OSError),
    *(struct.error, zipfile.BadZipFile),
)  # what a damaged archive makes `zipfile` raise
ADDED = {"SumPool": {"ceil": False, "counted": "kernel"}}  # fields that version 1 did not have

OPERATION_KINDS: dict[str, type[Operation]] = {
    name: kind
    for name, kind in vars(operations).items()
    if isinstance(kind, type) and issubclass(kind, Operation) and kind is not Operation
}
HEADER_FIELDS = {
    "format": str,
    "version": int,
    "name": str,
    "note": str,
    "input_shape": tuple[int, int, int],
    "logit_scale": float,
    "sha256": str,
    "operations": list,
}


def stored_bytes(program: Program) -> int:
    """Bytes of all weights at their own width, each layer ending on a byte; no bias, no scale."""
    layers = (o.weights for o in program.operations if isinstance(o, Linear))
    return sum(packed_bytes(weights.codes.size, weights.bits) for weights in layers)


def save(program: Program | Proof, directory: Path) -> int:
    """Write `program.json` and `weights.npz`, each atomically; returns `stored_bytes`.

    Raises: ProgramError for a program that no engine would run; then nothing is written.
    """
    program = prove(program).program
    parts: list[np.ndarray] = [np.zeros(0, np.uint8)]
    lines = [_encode_operation(operation, parts) for operation in program.operations]
    packed = np.concatenate(parts)
    header = {
        "format": FORMAT,
        "version": VERSIONS[-1],
        "name": program.name,
        "note": program.note,
        "input_shape": program.input_shape,
        "logit_scale": program.logit_scale,
        "sha256": "",
    }
    tree = json.loads(json.dumps(header | {"operations": [json.loads(line) for line in lines]}))
    decode_fields(tree, HEADER_FIELDS, PROGRAM_FILE)
    head = json.dumps(header | {"sha256": checksum(tree, packed)}, indent=1).removesuffix("\n}")
    text = head + ',\n "operations": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    with write_atomically(directory / WEIGHTS_FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, packed=packed)
    write_text(directory / PROGRAM_FILE, text)
    return len(packed)


def load_proof(directory: Path) -> Proof:
    """The program of a directory, proven to be one that every engine runs alike.

    Raises: ProgramError, one line, for files that are missing, damaged or changed in any way that
    matters: the format and version, an unknown operation, a missing or additional field, a wrong
    type, shape, offset or range, undefined inputs, weights that belong to another program.
    """
    tree = _read_json(directory / PROGRAM_FILE)
    header = decode_fields(tree, HEADER_FIELDS, PROGRAM_FILE)
    if header["format"] != FORMAT or header["version"] not in VERSIONS:
        raise ProgramError(
            f"{PROGRAM_FILE}: format {header['format']!r} {header['version']}; "
            f"{FORMAT!r} {VERSIONS[-1]} expected"
        )
    packed = _read_packed(directory / WEIGHTS_FILE)
    reader = _Reader(packed, ADDED if header["version"] == 1 else {})
    found = tuple(reader.operation(entry) for entry in header["operations"])
    if reader.position != len(packed):
        taken = f"{len(packed)} bytes; the layers take {reader.position}"
        raise ProgramError(f"{WEIGHTS_FILE}: {taken}")
    if checksum(tree, packed) != header["sha256"]:
        both = f"{PROGRAM_FILE} and {WEIGHTS_FILE}"
        raise ProgramError(f"{PROGRAM_FILE}: damaged or changed ({both}: SHA-256)")
    kept = {key: header[key] for key in ("name", "input_shape", "logit_scale", "note")}
    return prove(Program(operations=found, **kept))


def checksum(tree: dict[str, Any], packed: np.ndarray) -> str:
    """SHA-256 of the JSON's fields but "sha256", in sorted order, and of the packed weights."""
    others = {key: value for key, value in tree.items() if key != "sha256"}
    text = json.dumps(others, sort_keys=True) if tree["version"] > 1 else ""
    return hashlib.sha256(text.encode() + packed.tobytes()).hexdigest()


def _encode_operation(operation: Operation, parts: list[np.ndarray]) -> str:
    """One line of JSON; the packed weight codes are appended to parts."""
    line: dict[str, Any] = {"operation": type(operation).__name__}
    for entry in fields(operation):
        value = getattr(operation, entry.name)
        if isinstance(value, Weights):
            offset = sum(map(len, parts))
            parts.append(pack(value.codes, value.bits))
            shape, levels = value.codes.shape, value.levels.tolist()
            value = {"shape": shape, "bits": value.bits, "offset": offset, "levels": levels}
        elif isinstance(value, Dyadic):
            value = {"b": value.b.tolist(), "c": value.c.tolist()}
        line[entry.name] = value.tolist() if isinstance(value, np.ndarray) else value
    return json.dumps(line)


class _Reader:
    """Decodes operations in order; the layers' weights follow each other without gaps."""

    def __init__(self, packed: np.ndarray, added: dict[str, dict[str, Any]]) -> None:
        self.packed, self.position, self.weights, self.added = packed, 0, 0, added

    def operation(self, entry: Any) -> Operation:
        name = entry.get("name") if isinstance(entry, dict) else None
        where = f"{PROGRAM_FILE}: operation {str(name)[:TEXT_LETTERS]!r}"
        found = entry.get("operation") if isinstance(entry, dict) else None
        if not isinstance(found, str) or found not in OPERATION_KINDS:
            raise ProgramError(f"{where}: unknown operation {str(found)[:99]!r}")
        kind = OPERATION_KINDS[found]
        hints = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
        entry = self.added.get(found, {}) | entry
        values = decode_fields(entry, {"operation": str, **hints}, where)
        del values["operation"]
        if isinstance(values.get("weights"), dict):
            values["weights"] = self._weights(values["weights"], f"{where}: weights")
        return kind(**values)

    def _weights(self, stored: dict[str, Any], where: str) -> Weights:
        """The codes of one layer, exactly where the previous layer's end."""
        shape, bits, count = stored["shape"], stored["bits"], prod(stored["shape"])
        if not 1 <= bits <= 16 or not all(n > 0 for n in shape):
            raise ProgramError(f"{where}: shape {list(shape)} of {bits} bits is not possible")
        self.weights += count
        if self.weights > ELEMENTS:
            raise ProgramError(f"{where}: with them {self.weights} weights; {ELEMENTS} at most")
        if stored["offset"] != self.position:
            raise ProgramError(f"{where}: offset {stored['offset']}; {self.position} expected")
        end = self.position + packed_bytes(count, bits)
        if end > len(self.packed):
            raise ProgramError(f"{where}: they end at byte {end} of {len(self.packed)}")
        codes = unpack(self.packed[self.position : end], count, bits).reshape(shape)
        self.position = end
        return Weights(codes, stored["levels"], bits)


def _read_json(path: Path) -> Any:
    try:
        text = _read_bytes(path, JSON_BYTES)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None


def _read_bytes(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise ProgramError(f"{path.name}: larger than {most} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ProgramError(f"{path}: {error.strerror}; a saved program has this file") from None


def _damaged(path: Path, error: Exception) -> ProgramError:
    if isinstance(error, ProgramError):
        return error
    return ProgramError(f"{path.name}: damaged ({str(error)[:200] or type(error).__name__})")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _read_packed(path: Path) -> np.ndarray:
    """The bytes of the one uncompressed uint8 array in an .npz file.

    Not `np.load`: that allocates what a header asks for before it sees how short the file is, and
    runs a parser on it; the one header that is right for these bytes is known.
    """
    stored = _read_bytes(path, WEIGHT_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            (member,) = archive.infolist()
            if member.filename != MEMBER or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"one uncompressed {MEMBER} expected")
            array = archive.read(member)
    except DAMAGE as error:
        raise _damaged(path, error) from None
    header = len(_array_header(0))
    if array[:header] != _array_header(len(array) - header):
        raise ProgramError(f"{path.name}: damaged (not an array of uint8 as long as its bytes)")
    return np.frombuffer(array, np.uint8, offset=header)


def _array_header(count: int) -> bytes:
    """What NumPy writes before `count` bytes of uint8."""
    buffer = io.BytesIO()
    form = {"descr": "|u1", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(buffer, form)
    return buffer.getvalue()
