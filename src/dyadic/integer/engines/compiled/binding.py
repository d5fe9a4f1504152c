"""The structures of dyadic_engine.h, field by field, and the functions of the built library."""

import ctypes
from ctypes import POINTER, Structure, c_int32, c_int64, c_uint8, c_void_p

from dyadic.errors import UserError

TYPES = {"uint8": 0, "int8": 1, "int16": 2, "int32": 3}
OUTPUTS = 3
NONE = -1

STEPS: list[str] = [
    *("pixels", "normalize", "convolve", "gemm", "requantize", "threshold", "add", "relu", "copy"),
    *("max_pool", "sum_pool", "sum_spans", "repeat", "lookup", "multiply", "select", "pad"),
    "flatten",
]
UNITS = ("dot8", "dot16", "depthwise")
FORMS = ("int8", "int16", "int32", "int64", "shift")


def _ints(names: str) -> list[tuple[str, type]]:
    return [(name, c_int32) for name in names.split()]


def _longs(names: str) -> list[tuple[str, type]]:
    return [(name, c_int64) for name in names.split()]


def _pointers(names: str) -> list[tuple[str, type]]:
    return [(name, c_void_p) for name in names.split()]


class Tensor(Structure):
    """dy_tensor."""

    _fields_ = [
        ("data", c_void_p),
        *_ints("type channels height width"),
        *_longs("stride pitch"),
    ]


class Scale(Structure):
    """dy_scale."""

    _fields_ = [*_pointers("b c"), *_ints("per_channel lo hi")]


class Window(Structure):
    """dy_window."""

    _fields_ = _ints("height width step_y step_x pad_y pad_x dilation_y dilation_x")


class Conv(Structure):
    """dy_conv."""

    _fields_ = [
        ("window", Window),
        *_ints("groups group_in group_out form wide"),
        *_pointers("weights odd bias odd_b"),
        ("scale", Scale),
    ]


class Lanes(Structure):
    """dy_lanes."""

    _fields_ = [*_pointers("b c up round"), *_ints("high lo hi")]


class Output(Structure):
    """dy_output."""

    _fields_ = [("slot", c_int32), ("lanes", Lanes)]


class Gemm(Structure):
    """dy_gemm."""

    _fields_ = [
        *_ints("unit in_place flip fold limit stretch_count words blocks group_blocks"),
        *_ints("patch shift factor"),
        *_longs("group_bytes row"),
        *_pointers("stretches weights odd bias odd_bias odd_b patch_bias"),
        ("lanes", Lanes),
        *_ints("add lo hi output_count"),
        ("outputs", Output * OUTPUTS),
    ]


class Slot(Structure):
    """dy_slot."""

    _fields_ = [
        ("view", Tensor),
        *_longs("offset size origin"),
        *_ints("border_y border_x root"),
    ]


class Step(Structure):
    """dy_step."""

    _fields_ = [
        *_ints("kind vector source other target lo hi count times_y times_x"),
        *_pointers("thresholds values channels rows columns bias"),
        ("scale", Scale),
        ("window", Window),
        ("conv", Conv),
        ("gemm", Gemm),
    ]


class Plan(Structure):
    """dy_plan."""

    _fields_ = [
        *_ints("slot_count step_count"),
        ("slots", POINTER(Slot)),
        ("steps", POINTER(Step)),
        *_longs("pixels arena slack scratch"),
    ]


STRUCTURES = (Tensor, Scale, Window, Conv, Lanes, Output, Gemm, Slot, Step, Plan)


def bind(path: str) -> ctypes.CDLL:
    """The library with its functions' types.

    Raises: UserError for a library whose structures are others than these.
    """
    library = ctypes.CDLL(path)
    _check(library, path)
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


def layout() -> list[int]:
    """Size and offsets of every structure, in the order of dyadic_layout.c."""
    numbers = []
    for structure in STRUCTURES:
        fields = [getattr(structure, field[0]).offset for field in structure._fields_]
        numbers += [ctypes.sizeof(structure), *fields]
    return numbers


def _check(library: ctypes.CDLL, path: str) -> None:
    here = layout()
    there = list((c_int64 * len(here)).in_dll(library, "dy_layout"))
    if here != there:
        raise UserError(f"{path} has other structures than this version of dyadic; delete it")
