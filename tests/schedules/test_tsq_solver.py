import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dyadic.schedules.tsq_solver import (
    LayerCodes,
    alternate,
    auxiliary,
    coordinate_search,
    fixed_scale,
    free_scale,
    learn,
    objective,
)

TERNARY = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
EPS, STEP = 0.32, 0.6487  # SQ-2 of the paper's Table 1


def codes_of(v: Tensor) -> Tensor:
    """The 2-bit sparse quantizer: 0 up to eps, then the nearest of 1, 2, 3 steps."""
    return torch.where(v > EPS, (v / STEP).round().clamp(1, 3) * STEP, 0.0)


def otwa(w: Tensor) -> tuple[Tensor, Tensor]:
    """The exact ternary approximation of each column: alpha [F] and codes [m, F]."""
    ordered, order = w.abs().sort(dim=0, descending=True)
    sums = ordered.cumsum(0)
    count = torch.arange(1, len(w) + 1, dtype=w.dtype)[:, None]
    best = (sums**2 / count).argmax(0)
    kept = order.argsort(0) <= best
    return sums.gather(0, best[None])[0] / (best + 1), w.sign() * kept


def toy(seed: int, inputs: int = 24, filters: int = 6, samples: int = 800):
    """A layer of normal weights on sparse 2-bit codes, with batch norm that centres its output."""
    draw = torch.Generator().manual_seed(seed)
    x = codes_of(torch.randn(samples, inputs, generator=draw, dtype=torch.float64))
    w = torch.randn(inputs, filters, generator=draw, dtype=torch.float64)
    v = x @ w
    gain, shift = 1 / v.std(0), -v.mean(0) / v.std(0)
    target = codes_of(gain * v + shift)
    a, start = otwa(w)
    return LayerCodes(x, target, shift, 0.0, 3 * STEP), gain * a, start


def misfit(codes: LayerCodes, a: Tensor, w: Tensor) -> float:
    return (codes_of(codes.output(a, w)) - codes.y).square().mean().item()


@given(
    st.floats(-3, 3), st.floats(0, 2), st.floats(0.01, 20), st.sampled_from([(0, 2), (-9e9, 9e9)])
)
def test_the_auxiliary_variable_is_the_best_of_all(v, y, strength, ends):
    codes = LayerCodes(torch.zeros(1, 1), torch.tensor([[y]]).double(), torch.zeros(1), *ends)

    def cost(z: Tensor) -> Tensor:
        return (y - z.clamp(*ends)) ** 2 + strength * (z - v) ** 2

    z = auxiliary(codes, torch.tensor([[v]]).double(), strength)
    assert cost(z) <= cost(torch.linspace(-4, 4, 8001).double()).min() + 1e-9


def test_without_an_activation_the_auxiliary_variable_lies_between():
    codes = LayerCodes(
        torch.zeros(1, 1), torch.full((1, 1), 2.0), torch.zeros(1), *[-torch.inf, torch.inf]
    )
    assert auxiliary(codes, torch.zeros(1, 1), 1.0).item() == 1.0


@given(st.integers(0, 10**6))
def test_a_sweep_raises_the_merit_and_ends_where_it_says(seed):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 8, generator=draw).double()
    z = torch.randn(40, 3, generator=draw).double()
    w = torch.randint(-1, 2, (8, 3), generator=draw).double()
    gram, g = x.T @ x, x.T @ z
    before = free_scale((w * g).sum(0), (w * (gram @ w)).sum(0))
    found, p, q = coordinate_search(gram, g, w, TERNARY, free_scale)
    assert torch.isin(found, TERNARY).all()
    assert torch.allclose(p, (found * g).sum(0))
    assert torch.allclose(q, (found * (gram @ found)).sum(0))
    assert (free_scale(p, q) >= before * (1 - 1e-9)).all()


def test_sweeps_end_in_a_local_optimum_of_single_changes():
    codes, _, w = toy(3)
    g = codes.x.T @ (codes.y - codes.shift)
    for _ in range(20):
        w, p, q = coordinate_search(codes.gram, g, w, TERNARY, free_scale)
    merit = free_scale(p, q)
    for j, level in itertools.product(range(len(w)), TERNARY):
        trial = w.clone()
        trial[j] = level
        changed = free_scale((trial * g).sum(0), (trial * (codes.gram @ trial)).sum(0))
        assert (changed <= merit * (1 + 1e-9)).all()


def test_the_merit_of_a_fixed_scale_is_the_drop_of_the_squared_error():
    codes, a, w = toy(5)
    z = codes.y
    u = z - codes.shift
    g = codes.x.T @ u
    merit = fixed_scale(a)((w * g).sum(0), (w * (codes.gram @ w)).sum(0))
    assert torch.allclose(u.square().sum(0) - merit, (u - a * (codes.x @ w)).square().sum(0))


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("strength", [0.01, 0.1, 1.0, 10.0])
def test_the_alternation_never_increases_its_objective(strength, free):
    codes, a, w = toy(7)
    start = a.clone()
    last = objective(codes, a, w, strength)
    for _ in range(8):
        a, w = alternate(codes, a, w, TERNARY, strength, free)
        now = objective(codes, a, w, strength)
        assert (now <= last * (1 + 1e-9)).all()
        last = now
    assert free or torch.equal(a, start)


@pytest.mark.parametrize("seed", range(4))
def test_learned_weights_reproduce_the_codes_better_than_their_start(seed):
    codes, a, w = toy(seed)
    learned = learn(codes, a, w, TERNARY, (0.01, 0.1, 1.0, 10.0), 5)
    assert misfit(codes, *learned) < 0.95 * misfit(codes, a, w)


def test_a_rising_penalty_beats_a_large_constant_one():
    rising, large = 0.0, 0.0
    for seed in range(4):
        codes, a, w = toy(seed)
        rising += misfit(codes, *learn(codes, a, w, TERNARY, (0.01, 0.1, 1.0, 10.0), 5))
        large += misfit(codes, *learn(codes, a, w, TERNARY, (10.0,), 20))
    assert rising < large


def test_a_dead_input_or_filter_makes_no_nan():
    codes, a, w = toy(1)
    codes = LayerCodes(codes.x * 0, codes.y, codes.shift, codes.low, codes.high)
    a, w = learn(codes, a, w * 0, TERNARY, (1.0,), 2)
    assert a.isfinite().all()
    assert w.isfinite().all()


def one(value: float) -> Tensor:
    return torch.tensor([[value]]).double()


ONE = LayerCodes(one(1.0), one(4.0), torch.zeros(1).double(), -torch.inf, torch.inf)


@pytest.mark.parametrize(
    ("start", "free", "scale", "level"),
    [
        (1.0, True, 2.5, 1.0),  # z is half way from 1 to 4; of equal merits the present one stays
        (-1.0, True, -1.5, -1.0),  # half way from -1 to 4, and the scale takes the sign
        (-1.0, False, 1.0, 1.0),  # where it may not, the level does
    ],
)
def test_one_weight_by_hand(start: float, free: bool, scale: float, level: float):
    a, w = alternate(ONE, torch.ones(1).double(), one(start), TERNARY, 1.0, free)
    assert (a.item(), w.item()) == (scale, level)


def test_the_objective_of_one_weight_by_hand():
    """z = (2 * 1 + 4) / 3: (4 - 2)^2 + 2 (2 - 1)^2."""
    assert objective(ONE, torch.ones(1).double(), one(1.0), 2.0).tolist() == [6.0]


def test_what_is_nothing_explains_nothing_and_half_explains_twice_as_much():
    p, q = torch.tensor([0.0, 2.0, 2.0]), torch.tensor([0.0, 0.5, 1.0])
    assert free_scale(p, q).tolist() == [0.0, 8.0, 4.0]
