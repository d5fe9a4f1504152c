import functools

import pytest
import torch
from torch import Tensor, nn

from dyadic.network.activations import activation_quantizations
from dyadic.network.weights import latent_weight
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.partition import (
    GrowingPartition,
    largest_first,
    quantization_error,
    random,
)

RULES = [largest_first, random, quantization_error]


PORTIONS = [0.5, 0.75, 1.0]


OPTIMIZERS = {
    "SGD, Nesterov": functools.partial(
        torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True
    ),
    "Adam": functools.partial(torch.optim.Adam, lr=0.1, weight_decay=0.1),
    "AdamW": functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_frozen_means_bit_identical(build, drive, optimizer, rule):
    network = build(Uniform)
    frozen: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(phase: int, moment: str) -> None:
        for layer, weights in network.weights():
            w = layer.module.weight.detach().clone()
            if layer.name in frozen:
                mask, values = frozen[layer.name]
                assert torch.equal(w[mask], values[mask])
                assert bool((weights.mask | ~mask).all())
            assert int(weights.mask.sum()) == round(PORTIONS[phase] * w.numel())
            frozen[layer.name] = (weights.mask.clone(), w)

    drive(network, GrowingPartition(PORTIONS, 2, 1, rule), optimizer, steps=4, watch=watch)
    for layer, weights in network.weights():
        assert weights.mask.all()
        assert torch.equal(layer.module.weight, frozen[layer.name][1])


def test_the_random_partition_is_of_the_seed(build, images):
    network, masks = build(Uniform), []
    for seed in (0, 0, 1):
        copy, schedule = network.clone(), GrowingPartition(PORTIONS, partition=random, seed=seed)
        schedule.begin(copy)
        for step in range(2):
            schedule.enter(copy, step, images)
            masks.append(torch.cat([w.mask.flatten() for _, w in copy.weights()]))
    assert torch.equal(masks[0], masks[2])
    assert torch.equal(masks[1], masks[3])
    assert not torch.equal(masks[0], masks[4])
    assert not torch.equal(masks[1] ^ masks[0], masks[5] ^ masks[4])


def test_free_weights_train_as_float_weights(build, drive):
    network = build(Uniform)
    before = {layer.name: latent_weight(layer.module).clone() for layer in network.layers}

    def watch(phase: int, moment: str) -> None:
        for layer, weights in network.weights():
            free = ~weights.mask
            w, latent = layer.module.weight, latent_weight(layer.module)
            assert torch.equal(w[free], latent[free])
            if moment == "trained" and free.any():
                assert (w[free] != before[layer.name][free]).all()

    drive(network, GrowingPartition(PORTIONS), watch=watch)


def test_the_codebook_stays_that_of_the_first_step(build, drive):
    network = build(Uniform)
    books = {}

    def watch(phase: int, moment: str) -> None:
        for layer, weights in network.weights():
            scale = weights.codebook(latent_weight(layer.module)).scale
            assert torch.equal(books.setdefault(layer.name, scale), scale)

    drive(network, GrowingPartition(PORTIONS), watch=watch)


def test_a_codebook_per_step_follows_the_weights(build, drive):
    network = build(functools.partial(Uniform, bits=4))
    scales = []

    def watch(phase: int, moment: str) -> None:
        layer, weights = next(network.weights())
        scales.append(weights.codebook(latent_weight(layer.module)).scale)

    schedule = GrowingPartition([0.2, 0.4, 1.0], partition=random, codebook="per_step")
    drive(network, schedule, watch=watch, steps=8)
    assert len({s.item() for s in scales}) > 1


def test_re_ranking_lets_frozen_weights_come_back(build, images):
    network = build(Uniform)
    schedule = GrowingPartition([0.5, 0.75, 1.0], cumulative=False)
    schedule.begin(network)
    schedule.enter(network, 0, images)
    layer, weights = next(network.weights())
    first, values = weights.mask.clone(), layer.module.weight.detach().clone()
    with torch.no_grad():
        latent_weight(layer.module)[~first] = 100.0
    schedule.enter(network, 1, images)
    assert bool(weights.mask[~first].all())
    back = first & ~weights.mask
    assert bool(back.any())
    assert torch.equal(layer.module.weight[back], values[back])


@pytest.mark.parametrize("cumulative", [True, False])
def test_pruned_weights_stay_zero_and_the_portions_count_the_others(build, drive, cumulative):
    network = build(Uniform)
    zeros = {}
    for layer, _ in network.weights():
        w = latent_weight(layer.module)
        zeros[layer.name] = torch.rand(w.shape) < 0.5
        w.data[zeros[layer.name]] = 0.0

    def watch(phase: int, moment: str) -> None:
        for layer, weights in network.weights():
            pruned = zeros[layer.name]
            assert (layer.module.weight[pruned] == 0).all()
            survivors = int((~pruned).sum())
            count = int(pruned.sum()) + round(PORTIONS[phase] * survivors)
            assert int(weights.mask.sum()) == count

    schedule = GrowingPartition(PORTIONS, cumulative=cumulative, keep_zeros=True)
    drive(network, schedule, watch=watch, steps=4)


def test_pruning_takes_the_smallest_of_each_layer_for_good(build, drive):
    network = build(Uniform)
    before = {layer.name: latent_weight(layer.module).clone() for layer in network.layers}
    drive(network, GrowingPartition(PORTIONS, keep_zeros=True, prune=0.8), steps=4)
    for layer, _ in network.weights():
        w, was = layer.module.weight, before[layer.name].abs()
        count = round(0.8 * w.numel())
        pruned = was <= was.flatten().sort().values[count - 1]
        assert int(pruned.sum()) == count
        assert (w[pruned] == 0).all()


def test_weights_that_outgrow_the_codebook_saturate_and_are_counted(build, images):
    network = build(Uniform)
    schedule = GrowingPartition([0.5, 1.0])
    schedule.begin(network)
    schedule.enter(network, 0, images)
    layer, weights = next(network.weights())
    free = (~weights.mask).nonzero()[:3]
    with torch.no_grad():
        latent_weight(layer.module)[tuple(free.T)] = 50.0
    schedule.enter(network, 1, images)
    assert int(weights.saturations) == 3
    top = weights.codebook(layer.module.weight).reach[1]
    assert (layer.module.weight[tuple(free.T)] < top).all()


def test_a_saturated_weight_is_counted_once_it_is_frozen(build, images):
    network = build(Uniform)
    schedule = GrowingPartition(PORTIONS, partition=quantization_error)
    schedule.begin(network)
    schedule.enter(network, 0, images)
    layer, weights = next(network.weights())
    free = (~weights.mask).nonzero()[:3]
    with torch.no_grad():
        latent_weight(layer.module)[tuple(free.T)] = 50.0  # the farthest from the codebook
    counted = []
    for step in (1, 2):
        schedule.enter(network, step, images)
        counted.append(int(weights.saturations))
    schedule.finish(network, images)
    assert [*counted, int(weights.saturations)] == [0, 3, 3]


def test_a_run_that_resumes_behind_its_last_epoch_freezes_what_is_left(build, images):
    network, schedule = build(Uniform), GrowingPartition(PORTIONS, after=0)
    schedule.begin(network)
    for phase in range(2):
        schedule.enter(network, phase, images)
    resumed = build(Uniform)
    schedule.begin(resumed)
    resumed.load_state_dict(network.state_dict())
    schedule.finish(resumed, images)
    assert all(bool(weights.mask.all()) for _, weights in resumed.weights())


def test_everything_at_once_and_no_training_is_the_projection_of_the_weights(build, drive):
    network = build(Uniform, Uniform)
    expected = [weights.quantizer(latent_weight(la.module)) for la, weights in network.weights()]
    drive(network, GrowingPartition([1.0], after=0))
    found = [layer.module.weight for layer, _ in network.weights()]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(q.quantizer.range.known for q in activation_quantizations(network).values())


def test_the_state_of_a_step_is_in_the_state_dict(build, drive, images):
    network, schedule = build(Uniform), GrowingPartition(PORTIONS)
    schedule.begin(network)
    schedule.enter(network, 0, images)
    other = build(Uniform)
    schedule.begin(other)
    other.load_state_dict(network.state_dict())
    schedule.arrange(other, 0)
    for (a, _), (b, _) in zip(network.weights(), other.weights(), strict=True):
        assert torch.equal(a.module.weight, b.module.weight)


def test_phases_without_epochs_after_the_last_portion_still_freeze_everything(build, drive):
    network = build(Uniform)
    schedule = GrowingPartition(PORTIONS, after=0)
    assert [p.name for p in schedule.phases(network)] == ["50 % frozen", "75 % frozen"]
    drive(network, schedule)
    assert network.quantized_share() == 1.0


def test_only_batch_norm_and_biases_move_after_the_last_portion(build, drive):
    network = build(Uniform)
    seen = {}
    weights_train = set()

    def watch(phase: int, moment: str) -> None:
        if moment == "arranged":
            trains = {p.requires_grad for p in network.parameters() if p.ndim > 1}
            weights_train.add((phase, *trains))
        if phase == 2:
            seen[moment] = {n: p.clone() for n, p in network.named_parameters() if p.ndim == 1}

    drive(network, GrowingPartition(PORTIONS), watch=watch)
    assert all(not torch.equal(p, seen["trained"][n]) for n, p in seen["arranged"].items())
    assert weights_train == {(0, True), (1, True), (2, False)}


def test_a_network_without_weight_quantizers_trains_as_it_is(build, drive):
    network = build(None, Uniform, model=nn.Sequential(nn.Conv2d(2, 3, 8), nn.Flatten()))
    drive(network, GrowingPartition([1.0]))
    assert network.quantized_share() == 1.0
