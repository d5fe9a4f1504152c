import pytest
import torch
from torch import nn

from dyadic.errors import UserError
from dyadic.network.activations import activation_quantizations
from dyadic.network.weights import latent_weight
from dyadic.quantizers.learned import Lsq
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.bottom_up import BottomUp, TopLayers, WeightsOnly


def snapshot(network) -> dict[str, torch.Tensor]:
    """Everything that could drift: weights, biases, batch norm and its statistics, ranges."""
    return {k: v.clone() for k, v in network.state_dict().items() if "num_batches" not in k}


def moved(before: dict, after: dict) -> set[str]:
    """Layers of the body with a changed tensor."""
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    return {k.removeprefix("body.").split(".")[0] for k in changed}


def test_the_phases_of_a_four_layer_network_are_the_papers_table(build, drive, chain):
    """Cells of Table 1: activations float or fixed point, weights updated or frozen.

    Layers 1 to 4 are modules 0, 4, 8, 10, their batch norms 1 and 5; quantizers are named after
    what they read: 3 the first activation, 7 the second, 9 the third.
    """
    network = build(Uniform, Uniform, bits=6, model=chain)
    names = ["images_quant", "_3_quant", "_7_quant", "_9_quant"]
    assert [n.removeprefix("body.") for n in activation_quantizations(network)] == names
    fixed, updated, before = [], [], {}

    def watch(phase: int, moment: str) -> None:
        if moment == "arranged":
            before.update(snapshot(network))
            on = activation_quantizations(network).values()
            fixed.append([q.enabled for q in on])
        else:
            updated.append(moved(before, snapshot(network)))

    drive(network, BottomUp(1), watch=watch, steps=3)
    assert fixed == [
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
    assert updated == [{"4", "5"}, {"8"}, {"10"}]


def test_each_phase_restarts_and_says_what_it_quantizes(build, chain):
    phases = BottomUp(3).phases(build(Uniform, Uniform, model=chain))
    assert [p.name for p in phases] == ["block 2 of 4", "block 3 of 4", "block 4 of 4"]
    assert [p.event for p in phases] == ["quantize block 1", "quantize block 2", "quantize block 3"]
    assert all(p.restart and p.epochs == 3 for p in phases)


def test_all_above_trains_everything_above_the_fixed_point_layers(build, drive, chain):
    network = build(Uniform, Uniform, bits=6, model=chain)
    updated, before = [], {}

    def watch(phase: int, moment: str) -> None:
        if moment == "arranged":
            before.update(snapshot(network))
        else:
            updated.append(moved(before, snapshot(network)))

    drive(network, BottomUp(1, train_scope="all_above"), watch=watch, steps=3)
    assert updated == [{"4", "5", "8", "10"}, {"8", "10"}, {"10"}]


@pytest.mark.parametrize("unit", ["layer", "block"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
    ],
    ids=["SGD", "AdamW"],
)
def test_the_first_layer_never_trains_and_the_rest_does(build, drive, unit, optimizer):
    network = build(Uniform, Uniform, bits=6)
    before = snapshot(network)
    drive(network, BottomUp(1, unit=unit), optimizer, steps=3)
    changed = moved({k: v for k, v in before.items() if "quant" not in k}, snapshot(network))
    assert changed & {"conv1", "bn1"} == set()
    assert changed >= {"conv2", "bn2", "fc"}


def test_in_the_end_everything_is_fixed_point_and_may_train(build, drive):
    network = build(Uniform, Uniform, bits=6)
    drive(network, BottomUp(1))
    assert all(q.enabled for q in activation_quantizations(network).values())
    assert all(q.quantizer.range.known for q in activation_quantizations(network).values())
    assert all(p.requires_grad for p in network.parameters())
    assert network.quantized_share() == 1.0


def test_a_phase_fits_the_activations_that_turn_on_and_no_other(build, images, chain):
    network, schedule = build(Uniform, Uniform, bits=6, model=chain), BottomUp(1)

    def ranges() -> list[tuple[float, ...]]:
        found = [q.quantizer.range for q in activation_quantizations(network).values()]
        return [tuple(r.mean.value.flatten().tolist()) if r.known else () for r in found]

    moved, last = [], ranges()
    for phase in range(3):
        schedule.enter(network, phase, images * 10**phase)
        moved.append([a != b for a, b in zip(last, ranges(), strict=True)])
        last = ranges()
    assert moved == [
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]
    schedule.finish(network, images * 10**4)
    assert ranges() == last


def test_each_step_alone_turns_on_what_is_fixed_point_by_then(build, images, chain):
    """A resumed run arranges a phase that it did not enter."""
    schedule = BottomUp(1)

    def after(step) -> list[bool]:
        network = build(Uniform, Uniform, bits=6, model=chain)
        for quantization in activation_quantizations(network).values():
            quantization.enabled = False
        step(network)
        return [q.enabled for q in activation_quantizations(network).values()]

    for phase in range(3):
        table = [unit <= phase + 1 for unit in range(4)]
        assert after(lambda network, p=phase: schedule.enter(network, p, images)) == table
        assert after(lambda network, p=phase: schedule.arrange(network, p)) == table
    assert after(lambda network: schedule.finish(network, images)) == [True] * 4


@pytest.mark.parametrize(
    ("schedule", "trains"),
    [
        (BottomUp(1), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (BottomUp(1, train_scope="all_above"), [[1, 1, 1], [0, 1, 1], [0, 0, 1]]),
        (TopLayers(1, 2), [[0, 1, 1]]),
    ],
)
def test_a_learned_range_trains_with_the_layer_that_reads_it(
    build, images, chain, schedule, trains
):
    network = build(Uniform, Lsq, bits=6, model=chain)
    found = []
    for phase in range(len(trains)):
        schedule.enter(network, phase, images)
        schedule.arrange(network, phase)
        learned = [list(q.parameters()) for q in activation_quantizations(network).values()]
        assert [len(parameters) for parameters in learned] == [0, 1, 1, 1]  # the image's has none
        found.append([parameter.requires_grad for (parameter,) in learned[1:]])
    assert found == trains


def test_the_gradient_crosses_no_staircase(build, images, chain):
    """With a zero straight-through gradient in every quantizer the trained layer still learns."""
    network = build(None, Uniform, bits=6, model=chain)
    for quantization in activation_quantizations(network).values():
        quantization.quantizer.ste = lambda x, value, book: value
    schedule = BottomUp(1)
    for phase in range(3):
        schedule.enter(network, phase, images)
        network.train()
        schedule.arrange(network, phase)
        network.zero_grad()
        network(images).square().sum().backward()
        trained = latent_weight(network.layers[phase + 1].module)
        assert trained.grad is not None
        assert (trained.grad != 0).any()
        others = [x for x in network.layers if latent_weight(x.module) is not trained]
        assert all(latent_weight(x.module).grad is None for x in others)


def test_weights_only_quantizes_activations_after_training(build, drive):
    network = build(Uniform, Uniform, bits=6)
    seen = []

    def watch(phase: int, moment: str) -> None:
        seen.append(any(q.enabled for q in activation_quantizations(network).values()))

    drive(network, WeightsOnly(1), watch=watch)
    assert seen == [False, False]
    assert all(q.enabled for q in activation_quantizations(network).values())
    assert all(q.quantizer.range.known for q in activation_quantizations(network).values())


@pytest.mark.parametrize(
    ("k", "expected"), [(1, {"10"}), (2, {"8", "10"}), (9, {"0", "1", "4", "5", "8", "10"})]
)
def test_top_layers_trains_the_last_k(build, drive, chain, k, expected):
    network = build(Uniform, Uniform, bits=6, model=chain)
    before = {}

    def watch(phase: int, moment: str) -> None:
        assert all(q.enabled for q in activation_quantizations(network).values())
        if moment == "arranged":
            before.update(snapshot(network))

    drive(network, TopLayers(1, k), watch=watch, steps=3)
    assert all(p.requires_grad for p in network.parameters())
    assert moved(before, snapshot(network)) == expected


def test_one_layer_has_no_phase(build, drive):
    network = build(Uniform, Uniform, model=nn.Sequential(nn.Conv2d(2, 3, 8), nn.Flatten()))
    drive(network, BottomUp(1))
    assert all(q.quantizer.range.known for q in activation_quantizations(network).values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: BottomUp(0),
        lambda: BottomUp(1, unit="network"),
        lambda: BottomUp(1, train_scope="below"),
        lambda: WeightsOnly(0),
        lambda: TopLayers(1, 0),
        lambda: TopLayers(1, unit="stage"),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises(UserError):
        make()
