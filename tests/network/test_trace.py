"""Tracing gives one form of every operation and the same function."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dyadic.errors import UserError
from dyadic.network.layers import ties, weight_layers
from dyadic.network.trace import trace


class Functional(nn.Module):
    """Every functional form that tracing knows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        a, b = F.relu(self.first(x)), torch.relu(self.second(x))
        joined = torch.cat([a + b, F.max_pool2d(a, 3, stride=1, padding=1)], 1)
        pooled = F.adaptive_avg_pool2d(F.avg_pool2d(F.dropout(joined, 0.1, self.training), 2), 1)
        return self.last(pooled.view(pooled.size(0), -1))


class Residual(nn.Module):
    """A block with a downsample convolution, then one without."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.first, self.second = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.down = nn.Conv2d(4, 8, 1, 2)
        self.third = nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        x = (self.second(self.first(x).relu()) + self.down(x)).relu()
        return x + self.third(x)


def test_functional_forms_become_modules_of_the_same_function():
    model = Functional().eval()
    images = torch.randn(2, 3, 6, 6)
    traced = trace(model, images)
    assert torch.equal(traced(images), model(images))
    assert {n.op for n in traced.graph.nodes} <= {
        "placeholder", "call_module", "call_function", "output"
    }  # fmt: skip
    functions = {n.target.__name__ for n in traced.graph.nodes if n.op == "call_function"}
    assert functions == {"add", "cat"}


def test_layers_stand_in_execution_order_with_their_macs():
    found = weight_layers(trace(Functional(), torch.randn(2, 3, 6, 6)), (3, 6, 6))
    assert [layer.name for layer in found] == ["first", "second", "last"]
    assert [layer.macs for layer in found] == [3 * 4 * 9 * 36, 3 * 4 * 36, 8 * 5]


def test_a_downsample_convolution_is_tied_to_its_blocks_first():
    assert ties(trace(Residual(), torch.randn(2, 3, 6, 6))) == {"down": "first"}


class Unknown(nn.Module):
    def forward(self, x):
        return torch.sort(x)[0]


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "reason"), [(Unknown(), "sort"), (Branching(), "depends on values of the image")]
)
def test_what_cannot_be_read_is_refused_in_one_line(model, reason):
    with pytest.raises(UserError, match=reason) as caught:
        trace(model, torch.randn(2, 3, 6, 6))
    assert "\n" not in str(caught.value)
