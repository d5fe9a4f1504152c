"""JSON values as the fields of a program's operations, by the fields' annotated types.

JSON knows no tuples, no int64 and no difference between a missing and a superfluous field; here
each value has exactly its type and range, or a ProgramError of one line says where it does not.
"""

from typing import Any, get_args, get_origin

import numpy as np

from dyadic.integer.program.limits import INT64, TEXT_LETTERS, TUPLE
from dyadic.integer.program.operations import Dyadic, Weights
from dyadic.integer.program.requirements import ProgramError

STORED_WEIGHTS = {"shape": tuple[int, ...], "bits": int, "offset": int, "levels": np.ndarray}


def decode_fields(entry: Any, hints: dict[str, Any], where: str) -> dict[str, Any]:
    """A JSON object with exactly these fields, each decoded by its type.

    Weights stay a mapping of their stored parts (shape, bits, offset, levels).
    Raises: ProgramError that begins with `where`.
    """
    if not isinstance(entry, dict) or entry.keys() != hints.keys():
        found = ", ".join(map(str, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise ProgramError(f"{where}: fields {found[:200]}; {', '.join(hints)} expected")
    return {key: _decode(hint, entry[key], f"{where}: {key}") for key, hint in hints.items()}


def _decode(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as the annotated type of a field."""
    if hint == Dyadic | None:
        return None if value is None else _decode(Dyadic, value, where)
    if hint is Dyadic:
        return Dyadic(**decode_fields(value, {"b": np.ndarray, "c": np.ndarray}, where))
    if hint is Weights:
        return decode_fields(value, STORED_WEIGHTS, where)
    if hint is np.ndarray:
        return _integers(value, where)
    if get_origin(hint) is tuple and type(value) is list and len(value) <= TUPLE:
        kinds = get_args(hint)
        if kinds[-1] is ... or len(kinds) == len(value):
            return tuple(_decode(kinds[0], item, where) for item in value)
    if not _is_plain(hint, value):
        raise ProgramError(f"{where}: {str(value)[:50]!r} is not what belongs there")
    return value


def _is_plain(hint: Any, value: Any) -> bool:
    """Whether value is of the plain type and in range; True is no int, 3 is a float."""
    if hint is float:
        return type(value) in (int, float) and 0 < value < INT64
    if hint is int:
        return type(value) is int and abs(value) < INT64
    if hint is str:
        return type(value) is str and len(value) <= TEXT_LETTERS and value.isprintable()
    return hint in (bool, list) and type(value) is hint


def _integers(value: Any, where: str) -> np.ndarray:
    """A list of integers, or lists of them of one length, as int64."""
    rows: list[Any] = value if type(value) is list else [None]
    nested = bool(rows) and all(type(row) is list for row in rows)
    flat = [number for row in rows for number in row] if nested else rows
    if not all(type(number) is int and abs(number) < INT64 for number in flat):
        raise ProgramError(f"{where}: a list of 64-bit integers expected")
    if nested and len({len(row) for row in rows}) != 1:
        raise ProgramError(f"{where}: rows of different lengths")
    return np.array(rows, dtype=np.int64)
