"""What the tables count of a network, and Formula B."""

import torch
from experiments.hawq_v3.costs import gbops_mixed, layer_costs
from torch import nn

from dyadic.allocation.cost import LayerCost


def test_layers_are_counted_in_execution_order_without_bias_and_batch_norm() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )
    costs = layer_costs(model, (3, 8, 8))
    assert costs == [
        LayerCost("0", 216, 216 * 16, "8x3x3x3@4x4"),
        LayerCost("2", 144, 144 * 16, "8x2x3x3@4x4"),
        LayerCost("4", 1280, 1280, "10x128@"),
    ]


def test_counting_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    layer_costs(model, (1, 5, 5))
    assert model.training
    assert torch.equal(model[1].running_mean, torch.zeros(2))
    assert not model[0]._forward_hooks


def test_formula_b_charges_the_rest_at_eight_bits_on_the_published_count() -> None:
    layers = [LayerCost("middle", 10, 1_000_000)]
    assert gbops_mixed(layers, {"middle": (4, 4)}, published_macs=1_064_000) == (
        (16 * 1_000_000 + 64 * 64_000) / 1.024e9
    )
