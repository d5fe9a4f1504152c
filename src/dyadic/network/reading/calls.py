"""One operator as PyTorch executes it, with named arguments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Call:
    """One operator as it was executed: its name without the underscore of in-place forms."""

    name: str
    function: Any  # the form that changes nothing in place
    arguments: dict[str, Any]  # by their names in the operator's schema, defaults filled in
    result: Any

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> "Call":
        """The call of an operator, in the form that changes nothing in place."""
        schema = func._schema
        name = schema.name.split("::")[1]
        plain = name.removesuffix("_") if name.endswith("_") and not name.endswith("__") else name
        given = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        defaults = {a.name: a.default_value for a in schema.arguments if a.name not in given}
        ordered = {a.name: (given | defaults).get(a.name) for a in schema.arguments}
        packet = getattr(torch.ops.aten, plain, None) if schema.name.startswith("aten::") else None
        function = getattr(packet, func._overloadname, func)
        return cls(plain, function, ordered, result)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]


def tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in values and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)
