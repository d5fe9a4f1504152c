"""The structures and constants of the C engine, read from its headers, and its functions' types."""

import ctypes
import re
from ctypes import POINTER, Structure, c_int32, c_int64, c_uint8, c_void_p
from pathlib import Path
from typing import Any

HEADERS = ("dyadic_kernels.h", "dyadic_gemm.h", "dyadic_engine.h")
C_NUMBERS: dict[str, type] = {"int32_t": c_int32, "int64_t": c_int64}
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ENUM = re.compile(r"enum \{(.*?)\}", re.DOTALL)
STRUCT = re.compile(r"typedef struct \{(.*?)\} (\w+);", re.DOTALL)
FIELD = re.compile(r"\s*(?:const )?(\w+) (.*)", re.DOTALL)
NAME = re.compile(r"(\*?)(\w+)(?:\[(\w+)\])?")


def constants(text: str) -> dict[str, int]:
    """Names and values of all enumerations.

    >>> constants("enum { A, B, C = 7, D };")
    {'A': 0, 'B': 1, 'C': 7, 'D': 8}
    """
    found: dict[str, int] = {}
    for body in ENUM.findall(text):
        value = -1
        for entry in filter(str.strip, body.split(",")):
            name, _, own = (part.strip() for part in entry.partition("="))
            value = int(own) if own else value + 1
            found[name] = value
    return found


def structures(text: str, sizes: dict[str, int]) -> dict[str, type[Structure]]:
    """Every structure by its name; `sizes` are the constants by which arrays are declared."""
    made: dict[str, type[Structure]] = {}
    for body, name in STRUCT.findall(text):
        fields: list[tuple[str, type]] = []
        for line in filter(str.strip, body.split(";")):
            kind, names = FIELD.fullmatch(line).groups()  # type: ignore[union-attr]
            for pointer, field, size in NAME.findall(names):
                fields.append((field, _type(kind, bool(pointer), sizes.get(size), made)))
        made[name] = type(name, (Structure,), {"_fields_": fields})
    return made


def _type(kind: str, pointer: bool, size: int | None, known: dict[str, type[Structure]]) -> type:
    """A field's; a pointer to a structure that a plan is made of keeps its type."""
    if pointer:
        return POINTER(known[kind]) if kind in ("dy_slot", "dy_step") else c_void_p
    own: Any = known.get(kind) or C_NUMBERS[kind]
    return own * size if size else own


def _text() -> str:
    folder = Path(__file__).parent / "c"
    return COMMENT.sub("", "".join((folder / name).read_text() for name in HEADERS))


C = constants(_text())
_made = structures(_text(), C)

Tensor, Scale, Window = (_made[f"dy_{name}"] for name in ("tensor", "scale", "window"))
Conv, Gemm, Lanes = (_made[f"dy_{name}"] for name in ("conv", "gemm", "lanes"))
Output, Slot, Step, Plan = (_made[f"dy_{name}"] for name in ("output", "slot", "step", "plan"))
TYPES = {"uint8": C["DY_U8"], "int8": C["DY_S8"], "int16": C["DY_S16"], "int32": C["DY_S32"]}
STEPS = [name.removeprefix("DY_STEP_").lower() for name in C if name.startswith("DY_STEP_")][:-1]
GEMM_UNITS = ("dot8", "dot16", "depthwise")
CONV_FORMS = ("int8", "int16", "int32", "int64", "shift")
NONE = -1


def bind(path: str) -> ctypes.CDLL:
    """The library with its functions' types."""
    library = ctypes.CDLL(path)
    library.dy_open.argtypes = [POINTER(Plan), c_int32, c_int32]
    library.dy_open.restype = c_void_p
    library.dy_close.argtypes = [c_void_p]
    library.dy_close.restype = None
    library.dy_run.argtypes = [c_void_p, POINTER(c_uint8), c_int32]
    library.dy_run.restype = None
    library.dy_profile.argtypes = [c_void_p, POINTER(c_uint8), c_int32, POINTER(c_int64)]
    library.dy_profile.restype = None
    library.dy_read.argtypes = [c_void_p, c_int32, POINTER(c_int32)]
    library.dy_read.restype = None
    library.dy_knows.argtypes = [POINTER(Plan)]
    library.dy_knows.restype = c_int32
    return library
