"""The program on disk: `program.json` (what is done) and `weights.npz` (packed weight codes).

`program.json` holds one operation a line, its biases and dyadic numbers as plain integers, and for
each layer the shape, bits and byte offset of its weights. `weights.npz` holds one uint8 array
"packed", `bits` bits a weight and nothing else: the file is as large as the model's reported size.

Reading trusts nothing: no pickle, no size that the file itself does not have, no field without its
type and range, and the proof of `bounds.prove` at the end. What is wrong is a ProgramError of one
line. A SHA-256 in the JSON ties the two files together.
"""

import hashlib
import json
import zipfile
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from dyadic.integer.program.bounds import prove
from dyadic.integer.program.decoding import LONGEST_TEXT, decode_fields
from dyadic.integer.program.operations import (
    AdaptiveSumPool,
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Normalize,
    Operation,
    Pad,
    Program,
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
    Weights,
)
from dyadic.integer.program.packing import pack, packed_bytes, unpack
from dyadic.integer.program.requirements import ProgramError
from dyadic.record.files import write_atomically

FORMAT, VERSION = "dyadic program", 1
PROGRAM, WEIGHTS, MEMBER = "program.json", "weights.npz", "packed.npy"
LARGEST_JSON, LARGEST_WEIGHTS = 2**26, 2**32

OPERATIONS: tuple[type[Operation], ...] = (
    Normalize,
    Linear,
    Conv,
    Requantize,
    Threshold,
    Add,
    Relu,
    Concat,
    MaxPool,
    SumPool,
    AdaptiveSumPool,
    Repeat,
    Lookup,
    Multiply,
    Select,
    Pad,
    Flatten,
)
HEADER = {
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


def save(program: Program, directory: Path) -> int:
    """Write `program.json` and `weights.npz`, each atomically; returns `stored_bytes`.

    Raises: ProgramError for a program that no engine would run; then nothing is written.
    """
    prove(program)
    parts: list[np.ndarray] = [np.zeros(0, np.uint8)]
    lines = [_encode_operation(operation, parts) for operation in program.operations]
    packed = np.concatenate(parts)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": program.name,
        "note": program.note,
        "input_shape": program.input_shape,
        "logit_scale": program.logit_scale,
        "sha256": hashlib.sha256(packed.data).hexdigest(),
    }
    decode_fields(json.loads(json.dumps(header | {"operations": []})), HEADER, PROGRAM)
    head = json.dumps(header, indent=1).removesuffix("\n}")
    text = head + ',\n "operations": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    directory = Path(directory)
    with write_atomically(directory / WEIGHTS) as temporary, temporary.open("wb") as file:
        np.savez(file, packed=packed)
    with write_atomically(directory / PROGRAM) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(packed)


def load(directory: Path) -> Program:
    """The program of a directory, proven to be one that every engine runs alike.

    Raises: ProgramError, one line, for files that are missing, damaged or changed in any way that
    matters: the format and version, an unknown operation, a missing or additional field, a wrong
    type, shape, offset or range, undefined inputs, weights that belong to another program.
    """
    directory = Path(directory)
    header = decode_fields(_read_json(directory / PROGRAM), HEADER, PROGRAM)
    if (header["format"], header["version"]) != (FORMAT, VERSION):
        raise ProgramError(
            f"{PROGRAM}: format {header['format']!r} {header['version']}; "
            f"{FORMAT!r} {VERSION} expected"
        )
    packed = _read_packed(directory / WEIGHTS)
    reader = _Reader(packed)
    operations = tuple(reader.operation(entry) for entry in header["operations"])
    if reader.position != len(packed):
        raise ProgramError(f"{WEIGHTS}: {len(packed)} bytes; the layers take {reader.position}")
    if hashlib.sha256(packed.data).hexdigest() != header["sha256"]:
        raise ProgramError(f"{WEIGHTS}: its SHA-256 is not the one in {PROGRAM}")
    kept = {key: header[key] for key in ("name", "input_shape", "logit_scale", "note")}
    program = Program(operations=operations, **kept)
    prove(program)
    return program


def _encode_operation(operation: Operation, parts: list[np.ndarray]) -> str:
    """One line of JSON; the packed weight codes are appended to parts."""
    line: dict[str, Any] = {"operation": type(operation).__name__}
    for entry in fields(operation):
        value = getattr(operation, entry.name)
        if isinstance(value, Weights):
            offset = sum(map(len, parts))
            parts.append(pack(value.codes, value.bits))
            value = {
                "shape": value.codes.shape,
                "bits": value.bits,
                "offset": offset,
                "levels": value.levels.tolist(),
            }
        elif isinstance(value, Dyadic):
            value = {"b": value.b.tolist(), "c": value.c.tolist()}
        line[entry.name] = value.tolist() if isinstance(value, np.ndarray) else value
    return json.dumps(line)


class _Reader:
    """Decodes operations in order; the layers' weights follow each other without gaps."""

    def __init__(self, packed: np.ndarray) -> None:
        self.packed, self.position = packed, 0

    def operation(self, entry: Any) -> Operation:
        name = entry.get("name") if isinstance(entry, dict) else None
        where = f"{PROGRAM}: operation {str(name)[:LONGEST_TEXT]!r}"
        found = entry.get("operation") if isinstance(entry, dict) else None
        kinds = {kind.__name__: kind for kind in OPERATIONS}
        if not isinstance(found, str) or found not in kinds:
            raise ProgramError(f"{where}: unknown operation {str(found)[:99]!r}")
        kind = kinds[found]
        hints = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
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
        if path.stat().st_size > LARGEST_JSON:
            raise ProgramError(f"{path.name}: larger than {LARGEST_JSON} bytes")
        return json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_refuse)
    except ProgramError:
        raise
    except OSError as error:
        raise ProgramError(f"{path}: {error.strerror}; a saved program has this file") from None
    except (ValueError, RecursionError) as error:
        raise ProgramError(f"{path.name}: damaged ({str(error)[:200]})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _read_packed(path: Path) -> np.ndarray:
    """The bytes of the one uncompressed uint8 array in an .npz file, its header checked first.

    Not `np.load`: that allocates what the header asks for before it sees how short the file is.
    """
    try:
        if path.stat().st_size > LARGEST_WEIGHTS:
            raise ProgramError(f"{path.name}: larger than {LARGEST_WEIGHTS} bytes")
        with zipfile.ZipFile(path) as archive:
            (member,) = archive.infolist()
            if member.filename != MEMBER or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"one uncompressed {MEMBER} expected")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                if version != (1, 0):
                    raise ValueError(f"array format {version}; (1, 0) expected")
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                data = np.frombuffer(file.read(), np.uint8)
        if dtype != np.uint8 or shape != data.shape:
            raise ValueError(f"an array of {dtype} {shape} in {len(data)} bytes")
        return data
    except ProgramError:
        raise
    except OSError as error:
        raise ProgramError(f"{path}: {error.strerror}; a saved program has this file") from None
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise ProgramError(f"{path.name}: damaged ({str(error)[:200]})") from None
