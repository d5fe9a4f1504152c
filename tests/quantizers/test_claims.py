"""What every quantizer must do, checked on every quantizer of the package."""

import pytest
import torch
from hypothesis import given, settings
from tests.quantizers.cases import (
    TAKES,
    WHOLE,
    fresh,
    label,
    quantizer_classes,
    quantizers,
    tensors,
)
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers import (
    Binary,
    FixedPoint,
    Lloyd,
    Logarithmic,
    Lsq,
    Pact,
    PowerOfTwo,
    Quantizer,
    Ternary,
    Uniform,
)
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.rounding import half_up, nearest_even

EVERY = quantizers()
NEAREST = (Binary, FixedPoint, Lloyd, Lsq, Pact, PowerOfTwo, Ternary, Uniform)
every = pytest.mark.parametrize("quantizer", EVERY, ids=label)
few = settings(max_examples=10)


def claims_nearest(quantizer: Quantizer) -> bool:
    """Whether the scheme is the nearest value of its set, and not another rule."""
    if isinstance(quantizer, Uniform):
        return quantizer.rounding in (nearest_even, half_up)
    if isinstance(quantizer, PowerOfTwo):
        return quantizer.zero_cut == "half"
    if isinstance(quantizer, Ternary):
        return quantizer.exact
    return isinstance(quantizer, NEAREST)


def all_codes(book: Codebook) -> Tensor:
    return torch.arange(len(book.levels))


def test_every_class_has_a_case() -> None:
    assert {type(quantizer) for quantizer in EVERY} == set(quantizer_classes())
    assert len(set(quantizer_classes())) >= 12


@every
@few
@given(x=tensors)
def test_values_are_in_the_level_set(quantizer: Quantizer, x: Tensor) -> None:
    book = fresh(quantizer).codebook(x)
    assert torch.isin(book(x), book.dequantize(all_codes(book)).float()).all()


@every
@few
@given(x=tensors)
def test_every_code_is_the_code_of_its_value(quantizer: Quantizer, x: Tensor) -> None:
    book = fresh(quantizer).codebook(x)
    codes = all_codes(book)
    values = book.dequantize(codes).float()
    assert torch.equal(book.quantize(values), codes)
    assert torch.equal(book(values), values)


@every
@few
@given(x=tensors)
def test_quantization_is_monotone(quantizer: Quantizer, x: Tensor) -> None:
    quantizer.eval()
    book = fresh(quantizer).codebook(x)
    assert (book.quantize(x.sort().values).diff() >= 0).all()
    quantizer.train()


@every
@few
@given(x=tensors)
def test_codes_fit_their_bits(quantizer: Quantizer, x: Tensor) -> None:
    book = fresh(quantizer).codebook(x)
    assert len(book.levels) <= 2**book.bits
    assert (book.levels.diff() > 0).all()
    assert (torch.atleast_2d(book.integers).abs() < 2**31).all()
    assert quantizer.signed or book.levels[0] == 0
    assert (book.scale > 0).all()


@pytest.mark.parametrize("quantizer", [q for q in EVERY if claims_nearest(q)], ids=label)
@few
@given(x=tensors)
def test_the_value_is_the_nearest_one(quantizer: Quantizer, x: Tensor) -> None:
    book = fresh(quantizer).codebook(x)
    levels = book.dequantize(all_codes(book)).double()
    nearest = (x.double()[:, None] - levels).abs().amin(dim=1)
    error = (book(x).double() - x.double()).abs()
    # The last bit of x / scale may decide a tie, and nothing else.
    assert (error - nearest <= 1e-6 * levels.abs().max()).all()


def is_mirrored(quantizer: Quantizer) -> bool:
    """Whether the levels and the cells of the scheme are as many and as wide on both sides of 0."""
    if isinstance(quantizer, Uniform):
        evenly = quantizer.rounding is nearest_even
        return quantizer.signed and quantizer.symmetric and quantizer.narrow and evenly
    return quantizer.signed and not isinstance(quantizer, FixedPoint | Lsq)


def symmetric(book: Codebook) -> bool:
    """Whether -level is a level for every level, and the boundaries mirror too."""
    return all(torch.equal(x, -x.flip(0)) for x in (book.levels, book.cuts))


@pytest.mark.parametrize("quantizer", [q for q in EVERY if is_mirrored(q)], ids=label)
@few
@given(x=tensors)
def test_mirrored_values_have_mirrored_codes(quantizer: Quantizer, x: Tensor) -> None:
    book = fresh(quantizer.eval()).codebook(x)
    x = x[x != 0]
    assert symmetric(book)
    assert torch.equal(book.quantize(-x), len(book.levels) - 1 - book.quantize(x))
    quantizer.train()


@every
def test_what_is_not_mirrored_has_other_levels_or_another_rounding(quantizer: Quantizer) -> None:
    book = fresh(quantizer.eval()).codebook(torch.tensor([-1.0, 0.3, 1.0]))
    rounding = getattr(quantizer, "rounding", nearest_even)
    assert is_mirrored(quantizer) == (symmetric(book) and rounding is nearest_even)
    quantizer.train()


@pytest.mark.parametrize("kind", sorted(TAKES, key=lambda kind: kind.__name__))
def test_widths_and_signs_that_a_quantizer_has_not_are_refused(kind: type[Quantizer]) -> None:
    for signed in (True, False):
        fewest, most = TAKES[kind].get(signed, (17, 17))
        for bits in {0, fewest - 1, most + 1, 17}:
            with pytest.raises(UserError):
                kind(bits=bits, signed=signed, **WHOLE.get(kind, {}))


@every
def test_the_forward_pass_is_the_codebook_exactly(quantizer: Quantizer) -> None:
    quantizer = fresh(quantizer.eval())
    x = torch.randn(200, requires_grad=True)
    value = quantizer(x)
    assert torch.equal(value, quantizer.codebook(x.detach())(x.detach()))
    value.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    quantizer.train()


@every
def test_zeros_stay_zero_or_become_the_smallest_magnitude(quantizer: Quantizer) -> None:
    book = fresh(quantizer).codebook(torch.zeros(4))
    assert (book(torch.zeros(4)).abs() == book.dequantize(all_codes(book)).abs().min()).all()


@every
def test_half_precision_is_quantized_in_float32(quantizer: Quantizer) -> None:
    x = torch.randn(64).bfloat16()
    first, second = fresh(quantizer.eval()), fresh(quantizer)
    assert torch.equal(first(x), second(x.float()))
    assert first(x).dtype == torch.float32
    quantizer.train()


@every
def test_float64_has_the_same_codes(quantizer: Quantizer) -> None:
    x = torch.randn(500)
    book = fresh(quantizer.eval()).codebook(x)
    assert torch.equal(book.quantize(x), book.quantize(x.double()))
    exact = book.levels[book.quantize(x)] * book.scale.double()
    assert torch.equal(book(x.double()), exact)
    quantizer.train()


@every
def test_memory_layout_is_kept_and_changes_nothing(quantizer: Quantizer) -> None:
    x = torch.randn(2, 3, 4, 5)
    last = x.to(memory_format=torch.channels_last)
    quantizer.eval()
    value = fresh(quantizer)(last)
    assert value.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(value, fresh(quantizer)(x))
    quantizer.train()


@pytest.mark.parametrize("quantizer", [q for q in EVERY if not q.signed], ids=label)
def test_an_observed_range_is_static_and_in_the_checkpoint(quantizer: Quantizer) -> None:
    kind = type(quantizer)
    first, second = (kind(bits=quantizer.bits, signed=False) for _ in range(2))
    first.observe(torch.rand(100) * 3)
    second.load_state_dict(first.state_dict())
    small = torch.rand(10)
    assert torch.equal(first.codebook().scale, first.codebook(small).scale)
    assert torch.equal(first.codebook().scale, second.codebook().scale)
    assert first.codebook().scale.ndim == 0


@pytest.mark.parametrize("kind", [Uniform, FixedPoint, Logarithmic])
def test_a_dynamic_range_says_what_it_cannot_do(kind: type[Quantizer]) -> None:
    quantizer = kind(bits=4, signed=False, dynamic=True)
    quantizer.observe(torch.rand(5))
    with pytest.raises(UserError, match="dynamic=False"):
        quantizer.codebook()
