import torch
from torch import Tensor, fx, nn

from dyadic.network.blocks import units
from dyadic.network.trace import trace


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.deep, self.head = nn.Conv2d(2, 2, 1), nn.Conv2d(4, 2, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        return self.head(torch.cat([self.left(x), self.deep(self.right(x))], 1))


IMAGES = torch.randn(2, 1, 4, 4)


def by_name(network: fx.GraphModule, unit: str) -> dict[str, int]:
    return {node.name: number for node, number in units(network, unit).items()}


def test_layers_of_a_chain_are_its_blocks():
    network = trace(
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1), nn.ReLU()), IMAGES
    )
    assert units(network, "block") == units(network, "layer")
    assert list(units(network, "block").values()) == [0, 1, 1, 2, 2, 2]


def test_layers_between_two_cuts_are_one_block():
    of = by_name(trace(Branches(), IMAGES.repeat(1, 2, 1, 1)), "block")
    assert of["images"] == 0
    assert of["stem"] == of["relu"] == 1
    assert of["left"] == of["right"] == of["deep"] == of["cat"] == 2
    assert of["head"] == of["output"] == 3


def test_layers_alone_count_in_execution_order():
    of = by_name(trace(Branches(), IMAGES.repeat(1, 2, 1, 1)), "layer")
    assert [of[name] for name in ("stem", "left", "right", "deep", "head")] == [1, 2, 3, 4, 5]
    assert of["cat"] == 4


def test_a_skip_over_several_additions_joins_them():
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(1, 1, 1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x) + x
            return self.c(self.b(y) + y + x)

    of = by_name(trace(Dense(), IMAGES), "block")
    assert (of["a"], of["b"], of["c"]) == (1, 1, 2)
