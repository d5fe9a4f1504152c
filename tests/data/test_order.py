import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.data import order
from dyadic.data.order import generator, shuffled_batches, this_rank

KEYS = st.lists(st.integers(0, 2**63) | st.sampled_from(["mirror", "0"]), min_size=1, max_size=3)


@given(KEYS, KEYS)
def test_generators_are_equal_exactly_where_their_keys_are(a: list, b: list) -> None:
    assert (generator(*a).initial_seed() == generator(*b).initial_seed()) == (a == b)
    assert generator(*a).initial_seed() == generator(*a).initial_seed()


@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 5))
def test_batches_are_full_and_show_no_image_twice(count: int, size: int, seed: int) -> None:
    batches = shuffled_batches(count, size, generator(seed))
    numbers = torch.cat(batches).tolist()
    assert {len(batch) for batch in batches} == {min(size, count)}
    assert len(batches) == max(count // size, 1)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(count))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    shuffled_batches(100, 10, generator(0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_ranks_share_a_batch_without_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = torch.arange(10)
    assert this_rank(batch) is batch
    distributed = order.torch.distributed
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        parts.append(this_rank(batch))
    assert [len(part) for part in parts] == [5, 5]
    assert sorted(torch.cat(parts).tolist()) == batch.tolist()
