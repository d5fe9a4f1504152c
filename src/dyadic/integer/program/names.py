"""Operations carry any printable name; C and ONNX want identifiers."""

import re
from collections.abc import Iterable


def identifiers(names: Iterable[str], others: str = "", taken: Iterable[str] = ()) -> list[str]:
    """An identifier for each name, all different, the same for the same names in the same order.

    Letters and digits of ASCII stay, and the characters of `others`; everything else becomes "_".
    A first digit gets "_" before it; what is `taken` gets a number behind.

    >>> identifiers(["0", "block1-0", "block1.0", "ü"])
    ['_0', 'block1_0', 'block1_0_2', '_']
    """
    used, found = set(taken), []
    for name in names:
        plain = re.sub(rf"[^A-Za-z0-9_{re.escape(others)}]", "_", name)
        plain = f"_{plain}" if plain[0].isdigit() else plain
        unique, number = plain, 1
        while unique in used:
            number += 1
            unique = f"{plain}_{number}"
        used.add(unique)
        found.append(unique)
    return found
