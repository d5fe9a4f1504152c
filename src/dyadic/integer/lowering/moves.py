"""Lowering of pools and movements: maxima, sums whose division joins the next scale, selections."""

from typing import Any

from torch import nn

from dyadic.errors import UserError
from dyadic.integer.program import operations as ops
from dyadic.integer.program.requirements import Shape
from dyadic.integer.program.windows import divisor
from dyadic.network import forms
from dyadic.network.forms import two


def lower_move(
    name: str, source: str, module: nn.Module | None, before: Shape, after: Shape
) -> tuple[ops.Operation | None, int]:
    """The operation of a pool or movement and the divisor that its scale takes over.

    before, after [C, H, W] or [F]. Returns None for a module that changes nothing.
    Raises UserError for what has no exact integer form, and for modules that are not known.
    """
    inputs = (source,)
    if isinstance(module, nn.MaxPool2d):
        if two(module.dilation) != (1, 1):
            raise UserError(f"{name}: max pooling with dilation {module.dilation}; only 1")
        window = two(module.kernel_size), two(module.stride), two(module.padding)
        return ops.MaxPool(name, inputs, *window, ceil=module.ceil_mode), 1
    if isinstance(module, nn.AvgPool2d):
        return _average(name, inputs, module, before)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return _adaptive(name, inputs, before, after)
    if isinstance(module, nn.Flatten):
        return (None if len(before) == 1 else ops.Flatten(name, inputs)), 1
    if isinstance(module, forms.Select):
        return ops.Select(name, inputs, module.channels.cpu().numpy()), 1
    if isinstance(module, forms.Pad):
        left, right, top, bottom = module.padding
        return ops.Pad(name, inputs, (left, right, top, bottom)), 1
    if isinstance(module, forms.Repeat):
        return ops.Repeat(name, inputs, module.times), 1
    if isinstance(module, forms.Pixels):
        return None, 1  # [C] stands for [C, 1, 1] in the product that reads it
    kind = type(module).__name__
    raise UserError(f"{name}: {kind} has no integer form; see the operations of integer/program")


def unknown(operation: ops.Operation | None) -> dict[str, Any]:
    """What is not known any more of codes after an operation: the ends, where sums were made."""
    sums = isinstance(operation, ops.SumPool | ops.AdaptiveSumPool)
    return {"lo": None, "hi": None} if sums else {}


def _average(
    name: str, inputs: tuple[str, ...], pool: nn.AvgPool2d, before: Shape
) -> tuple[ops.Operation, int]:
    window = two(pool.kernel_size), two(pool.stride), two(pool.padding)
    counted = "padded" if pool.ceil_mode else "kernel"
    if pool.divisor_override is not None:
        counted = "kernel"
    elif not pool.count_include_pad and (any(window[2]) or pool.ceil_mode):
        counted = "image"
    operation = ops.SumPool(name, inputs, *window, ceil=pool.ceil_mode, counted=counted)
    return operation, pool.divisor_override or divisor(operation, before[1:])


def _adaptive(
    name: str, inputs: tuple[str, ...], before: Shape, after: Shape
) -> tuple[ops.Operation | None, int]:
    """Windows of one size (a sum), repetition (a larger grid), nothing (the same), or any."""
    (rows, columns), (out_rows, out_columns) = before[1:], after[1:]
    if (rows, columns) == (out_rows, out_columns):
        return None, 1
    if rows % out_rows == 0 and columns % out_columns == 0:
        kernel = rows // out_rows, columns // out_columns
        return ops.SumPool(name, inputs, kernel, kernel, (0, 0)), kernel[0] * kernel[1]
    if out_rows % rows == 0 and out_columns % columns == 0:
        return ops.Repeat(name, inputs, (out_rows // rows, out_columns // columns)), 1
    operation = ops.AdaptiveSumPool(name, inputs, (out_rows, out_columns))
    return operation, divisor(operation, before[1:])
