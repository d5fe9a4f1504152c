import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.network.activations import activation_quantizations
from dyadic.network.weights import latent_weight
from dyadic.quantizers.half_wave import SparseHalfWave
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.ternary import Ternary
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules import sampling, two_step
from dyadic.schedules.blend import set_blend
from dyadic.schedules.sampling import Sampler, input_patches
from dyadic.schedules.two_step import TwoStep, scale_is_free

PER_FILTER = functools.partial(Ternary, granularity="per_channel")


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2)),
        nn.Conv2d(4, 6, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 1, groups=4),
    ],
    ids=["plain", "stride, dilation", "groups", "depthwise"],
)
def test_a_patch_times_the_weight_is_the_convolution(conv):
    conv.double()
    x = torch.randn(3, 4, 7, 9).double()
    y = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    image, row, column = Sampler(50, seed=0).draw(3, *y.shape[2:])
    inputs = input_patches(x, conv, image, row, column)
    weight = conv.weight.flatten(1).reshape(conv.groups, -1, inputs.shape[2])
    product = torch.einsum("ngm,gfm->ngf", inputs, weight).flatten(1)
    assert torch.allclose(product, y[image, :, row, column])


def test_positions_are_within_the_map_and_the_same_for_every_tensor():
    draws = [Sampler(1000, seed=3).draw(4, 5, 6) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))
    assert [(int(i.min()), int(i.max())) for i in draws[0]] == [(0, 3), (0, 4), (0, 5)]


def trained(build, images, model=None, weight=PER_FILTER):
    """A network after step 1: float in weights, with ranges of its activations."""
    network = build(weight, SparseHalfWave, bits=2, model=model)
    network.calibrate([images])
    set_blend(network, 0.0)
    return network.eval()


@torch.no_grad()
def activations(network, images) -> list[Tensor]:
    """The codes' values behind every activation quantizer but the image's."""
    values = []
    for quantization in list(activation_quantizations(network).values())[1:]:
        quantization.register_forward_hook(lambda module, x, y: values.append(y))
    network(images)
    return values


def test_learned_weights_give_codes_nearer_to_those_of_step_one_than_otwa(build, images, chain):
    network = trained(build, images, chain)
    reference, otwa = network.clone().eval(), network.clone().eval()
    set_blend(reference, 0.0)
    set_blend(otwa, 1.0)
    TwoStep(1, samples=2048).learn_weights(network, images)
    wanted = activations(reference, images)

    def errors(other) -> list[float]:
        pairs = zip(activations(other, images), wanted, strict=True)
        return [(a - b).square().mean().item() for a, b in pairs]

    assert all(a < b for a, b in zip(errors(network), errors(otwa), strict=True))


def test_a_ternary_codebook_per_filter_holds_the_solution_exactly(build, images):
    network = trained(build, images)
    TwoStep(1, samples=256).learn_weights(network, images)
    for layer, weights in network.weights():
        w = latent_weight(layer.module)
        assert torch.equal(weights.codebook(w)(w), w)
        assert all(len(row.abs().unique()) <= 2 for row in w.detach().flatten(1))


def test_several_scales_in_a_filter_round_the_weights_of_step_one(build, images):
    groups = functools.partial(Ternary, granularity="per_block", group_size=3)
    network = trained(build, images, weight=groups)
    before = [latent_weight(layer.module).detach().clone() for layer in network.layers]
    TwoStep(1, samples=256).learn_weights(network, images)
    for (layer, weights), w in zip(network.weights(), before, strict=True):
        assert torch.equal(latent_weight(layer.module), weights.quantizer.codebook(w)(w))


@pytest.mark.parametrize("asymmetric", [True, False])
def test_the_solution_is_a_function_of_the_seed(build, images, asymmetric):
    a = trained(build, images)
    b, c = a.clone().eval(), a.clone().eval()
    set_blend(b, 1.0)  # whatever the network computes with
    for network, seed in ((a, 0), (b, 0), (c, 1)):
        TwoStep(1, samples=256, asymmetric=asymmetric, seed=seed).learn_weights(network, images)

    def same(network, other) -> bool:
        pairs = zip(network.parameters(), other.parameters(), strict=True)
        return all(torch.equal(p, q) for p, q in pairs)

    assert same(a, b)
    assert not same(a, c)
    assert a.quantized_share() == 1.0


@pytest.mark.parametrize(
    ("options", "rows", "batches"),
    [
        ({"samples": 100}, 100, 4),  # 25 of each batch of 5, 5, 5 and 1
        ({"samples": 101}, 104, 4),
        ({"samples": 100, "images": 6}, 100, 2),
        ({"samples": 100, "images": 5}, 100, 1),
    ],
)
def test_so_many_positions_are_sampled_and_of_so_many_images(
    build, images, monkeypatch, options, rows, batches
):
    for module in (two_step, sampling):
        monkeypatch.setattr(module, "CALIBRATION_BATCH", 5)
    monkeypatch.setattr(two_step, "learn", lambda codes, a, w, *_: seen.append(codes) or (a, w))
    network, seen, passes = trained(build, images), [], []
    network.register_forward_hook(lambda *_: passes.append(1))
    TwoStep(1, **options).learn_weights(network, images)
    assert {len(tensor) for codes in seen for tensor in (codes.x, codes.y)} == {rows}
    assert len(passes) == batches * len(network.layers)


def test_a_filter_that_batch_norm_switched_off_keeps_the_scale_of_its_codebook(build, images):
    network = trained(build, images)
    with torch.no_grad():
        network.body.bn1.weight[1] = 0.0
    before = latent_weight(network.layers[0].module).clone()
    weights = next(network.weights())[1]
    scale = weights.quantizer.codebook(before).scale.flatten()
    TwoStep(1, samples=256).learn_weights(network, images)
    found = latent_weight(network.layers[0].module)[1].abs().unique()
    assert found.tolist() == pytest.approx([0.0, scale[1].item()])


def test_symmetric_and_asymmetric_inputs_differ_above_the_first_layer(build, images):
    a = trained(build, images)
    b = a.clone().eval()
    TwoStep(1, samples=256, asymmetric=True).learn_weights(a, images)
    set_blend(b, 0.0)
    TwoStep(1, samples=256, asymmetric=False).learn_weights(b, images)
    same = [
        torch.equal(latent_weight(x.module), latent_weight(y.module))
        for x, y in zip(a.layers, b.layers, strict=True)
    ]
    assert same[0]
    assert not all(same)


def test_only_binary_and_ternary_sets_per_filter_follow_a_scale(build):
    def free(factory, bits: int) -> bool:
        layer, weights = next(build(factory, bits=bits).weights())
        return scale_is_free(weights, latent_weight(layer.module).detach())

    assert free(PER_FILTER, 2)
    assert not free(Ternary, 2)
    assert not free(functools.partial(Ternary, granularity="per_group", group_size=2), 2)
    assert not free(PowerOfTwo, 2)
    assert not free(functools.partial(PowerOfTwo, granularity="per_channel"), 2)
    assert not free(functools.partial(Uniform, granularity="per_channel"), 4)


def test_weights_are_float_in_step_one_and_quantized_in_step_three(build, drive, images):
    network = build(PER_FILTER, SparseHalfWave, bits=2)
    seen, levels = [], []

    def watch(phase: int, moment: str) -> None:
        seen.append((phase, network.quantized_share()))
        w = latent_weight(network.layers[0].module).detach()
        levels.append(len(w[0].abs().unique()))

    schedule = TwoStep(1, fine_tuning=1, samples=256)
    assert [p.name for p in schedule.phases(network)] == ["codes", "fine-tuning"]
    drive(network, schedule, watch=watch)
    assert seen == [(0, 0.0), (0, 0.0), (1, 1.0), (1, 1.0)]
    assert levels[2] <= 2 < levels[1]  # learned before they are tuned
    for phase in (1, 0):  # a resumed run enters nothing
        schedule.arrange(network, phase)
        assert network.quantized_share() == phase
    schedule.finish(network, images)
    assert network.quantized_share() == 1.0


def test_without_fine_tuning_the_weights_are_learned_in_the_end(build, drive):
    network = build(PER_FILTER, SparseHalfWave, bits=2)
    schedule = TwoStep(1, fine_tuning=0, samples=256)
    assert [p.name for p in schedule.phases(network)] == ["codes"]
    drive(network, schedule)
    assert network.quantized_share() == 1.0
    w = latent_weight(network.layers[0].module)
    assert len(w.detach()[0].abs().unique()) <= 2


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"epochs": 1, "fine_tuning": -1}, {"epochs": 1, "strengths": [0.0]}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UserError):
        TwoStep(**wrong)
