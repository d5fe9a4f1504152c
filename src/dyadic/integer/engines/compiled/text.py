"""Pieces of C sources: comments, strings, lists and arrays."""

from collections.abc import Sequence

import numpy as np

VALUES_PER_LINE = 24


def comment(text: str) -> str:
    """Text that cannot end a comment."""
    return "".join(c if c.isalnum() or c in " _.,=-" else "_" for c in text)


def literal(text: str) -> str:
    """Any text as a string of C, in UTF-8."""
    plain = (
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()
    )
    return f'"{"".join(plain)}"'


def declare(name: str, array: np.ndarray, into: list[str]) -> str:
    """Append a constant array's text, and return its name."""
    values = array.ravel().tolist() or [0]
    into.append(f"static const {array.dtype.name}_t {name}[{len(values)}] = {{\n")
    for start in range(0, len(values), VALUES_PER_LINE):
        into.append(c_list(values[start : start + VALUES_PER_LINE]) + ",\n")
    into.append("};\n")
    return name


def c_list(values: Sequence[int]) -> str:
    """A list in C."""
    return ", ".join(map(str, values))
