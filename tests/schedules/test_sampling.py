"""What is sampled of a layer's input belongs to what is sampled of its output."""

import functools

import pytest
import torch
from torch import nn

from dyadic.network.weights import latent_weight
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.sampling import Sampler, inputs, outputs
from dyadic.schedules.two_step import TwoStep


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), groups=2, bias=False), (5, 4, 7, 9)),
        (nn.Linear(4, 6, bias=False), (5, 4)),
    ],
)
def test_a_sampled_input_times_the_weight_is_the_sampled_output(layer, shape):
    layer.double()
    x = torch.randn(shape).double()
    y = layer(x)
    rows = inputs(Sampler(40, seed=1), layer)(x, y)
    wanted = outputs(Sampler(40, seed=1))(x, y)
    groups = rows.shape[1]
    weight = layer.weight.flatten(1).reshape(groups, -1, rows.shape[2])
    product = torch.einsum("ngm,gfm->ngf", rows, weight).flatten(1)
    assert torch.allclose(product, wanted)
    assert wanted.shape == (40, 6)
    assert len(wanted.unique(dim=0)) > len(x) // 2


@pytest.mark.parametrize("quantizer", [PowerOfTwo, functools.partial(Uniform, bits=3)])
def test_a_scale_that_does_not_follow_the_weights_stays_as_it_is(build, images, quantizer):
    network = build(quantizer, Uniform, bits=3)
    network.calibrate([images])
    before = [
        (
            weights.quantizer.codebook(latent_weight(layer.module)),
            latent_weight(layer.module).clone(),
        )
        for layer, weights in network.weights()
    ]
    TwoStep(1, samples=256).learn_weights(network, images)
    moved = []
    for (layer, _), (book, was) in zip(network.weights(), before, strict=True):
        values = latent_weight(layer.module).detach().double().unique()
        levels = book.levels.double() * book.scale.double()
        assert (values[:, None] - levels).abs().amin(1).max() < 1e-6
        moved.append(not torch.equal(latent_weight(layer.module), book(was)))
    assert any(moved)


def test_every_position_of_every_image_is_drawn_alike():
    image, row, column = Sampler(60_000, seed=0).draw(3, 4, 5)
    counts = torch.bincount((image * 4 + row) * 5 + column, minlength=60)
    assert (int(image.max()), int(row.max()), int(column.max())) == (2, 3, 4)
    assert 800 < int(counts.min()) <= int(counts.max()) < 1200  # 1000 each, 6 deviations of 31
