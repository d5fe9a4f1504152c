"""Lowering of pooling layers: maxima, sums whose division joins the next scale, repetition."""

from torch import nn

from dyadic.errors import UserError
from dyadic.integer.program.operations import MaxPool, Operation, Repeat, SumPool

Shape = tuple[int, ...]


def lower_pool(
    name: str, source: str, module: nn.Module | None, before: Shape, after: Shape
) -> tuple[Operation | None, int]:
    """The operation of a pooling layer and the divisor that its scale takes over.

    before, after [C, H, W]. Returns None for a layer that changes nothing.
    Raises UserError for what has no exact integer form, and for layers that are not known.
    """
    inputs = (source,)
    if isinstance(module, nn.MaxPool2d):
        if _two(module.dilation) != (1, 1):
            raise UserError(f"{name}: max pooling with dilation {module.dilation}; only 1")
        window = _two(module.kernel_size), _two(module.stride), _two(module.padding)
        return MaxPool(name, inputs, *window, ceil=module.ceil_mode), 1
    if isinstance(module, nn.AvgPool2d):
        return _average(name, inputs, module)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return _adaptive(name, inputs, before, after)
    kind = type(module).__name__
    raise UserError(f"{name}: {kind} has no integer form; see the operations of integer/program.py")


def _average(name: str, inputs: tuple[str, ...], pool: nn.AvgPool2d) -> tuple[Operation, int]:
    kernel, padding = _two(pool.kernel_size), _two(pool.padding)
    if pool.ceil_mode or (padding != (0, 0) and not pool.count_include_pad):
        raise UserError(
            f"{name}: average pooling whose divisor varies at the border; "
            "use ceil_mode=False and count_include_pad=True"
        )
    divisor = pool.divisor_override or kernel[0] * kernel[1]
    return SumPool(name, inputs, kernel, _two(pool.stride), padding), divisor


def _adaptive(
    name: str, inputs: tuple[str, ...], before: Shape, after: Shape
) -> tuple[Operation | None, int]:
    """Windows of one size (a sum), repetition (a larger grid), or nothing (the same grid)."""
    (rows, columns), (out_rows, out_columns) = before[1:], after[1:]
    if (rows, columns) == (out_rows, out_columns):
        return None, 1
    if rows % out_rows == 0 and columns % out_columns == 0:
        kernel = rows // out_rows, columns // out_columns
        return SumPool(name, inputs, kernel, kernel, (0, 0)), kernel[0] * kernel[1]
    if out_rows % rows == 0 and out_columns % columns == 0:
        return Repeat(name, inputs, (out_rows // rows, out_columns // columns)), 1
    raise UserError(
        f"{name}: adaptive pooling {before[1:]} to {after[1:]} has windows of different "
        "sizes; choose an image size that divides evenly"
    )


def _two(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
