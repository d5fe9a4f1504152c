"""Which weights are frozen next: pure functions of a tensor."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from dyadic.errors import UserError
from dyadic.network.weights import latent_weight
from dyadic.quantizers.binary import Binary
from dyadic.schedules.partition import (
    GrowingPartition,
    largest_first,
    quantization_error,
    random,
)

RULES = [largest_first, random, quantization_error]


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 1000), size=st.integers(1, 60), share=st.floats(0, 1))
def test_a_rule_takes_exactly_the_count_and_keeps_the_frozen(rule, seed, size, share):
    w = torch.randn(size, generator=generator(seed)).mul(4).round()
    frozen = torch.rand(size, generator=generator(seed + 1)) < 0.3
    count = max(round(share * size), int(frozen.sum()))
    mask = rule(w, w.sign(), frozen, count, generator(seed))
    assert int(mask.sum()) == count
    assert bool((mask | ~frozen).all())


@pytest.mark.parametrize("rule", RULES)
def test_portions_of_ten_weights_are_exact_and_nested(rule):
    w = torch.arange(1.0, 11.0) * torch.tensor([1.0, -1.0] * 5)
    mask, masks = torch.zeros(10, dtype=torch.bool), []
    for portion in (0.2, 0.4, 1.0):
        mask = rule(w, w.round(), mask, round(portion * 10), generator())
        masks.append(mask)
    assert [int(m.sum()) for m in masks] == [2, 4, 10]
    assert bool((masks[1] | ~masks[0]).all())


def test_the_largest_go_first():
    w = torch.tensor([0.1, -0.9, 0.4, 0.2])
    assert largest_first(w, w, torch.zeros(4).bool(), 2, generator()).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("rule", [largest_first, quantization_error])
def test_equal_scores_go_in_storage_order(rule):
    w = torch.ones(100)
    mask = rule(w, w, torch.arange(100) == 90, 30, generator())
    assert mask.nonzero().flatten().tolist() == [*range(29), 90]


def test_the_nearest_to_the_codebook_go_first():
    w, values = torch.tensor([0.1, -0.9, 0.4, 0.2]), torch.tensor([0.0, -1.0, 0.39, 0.21])
    mask = quantization_error(w, values, torch.zeros(4).bool(), 2, generator())
    assert mask.tolist() == [0, 0, 1, 1]


def test_the_random_partition_is_a_function_of_its_generator():
    w, nothing = torch.randn(1000), torch.zeros(1000, dtype=torch.bool)
    draws = [random(w, w, nothing, 500, generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert 400 < int((draws[0] ^ draws[2]).sum()) < 600


def test_zeros_are_not_kept_by_a_quantizer_without_one(build, images):
    network = build(Binary, bits=1)
    latent_weight(network.layers[0].module).data[0] = 0.0
    schedule = GrowingPartition([0.5, 1.0], 1, keep_zeros=True)
    schedule.begin(network)
    with pytest.raises(UserError, match="no zero"):
        schedule.enter(network, 0, images)
