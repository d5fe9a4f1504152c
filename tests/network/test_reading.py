"""Reading: names, sharing, and graphs that are not the user's network."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.models.normalize import Normalized, NormalizePixels
from dyadic.network.fold import fold_in_place
from dyadic.network.forms import Select, Shift
from dyadic.network.layers import weight_layers
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.reading.recorder import TAKEN
from dyadic.network.trace import trace
from dyadic.quantizers.uniform import Uniform

IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def names(model: nn.Module) -> list[str]:
    return [layer.name for layer in weight_layers(trace(model, IMAGES), (3, 6, 6))]


def test_layers_are_named_as_in_the_users_network():
    block = nn.ModuleDict({"a-b": nn.Conv2d(3, 4, 3), "input": nn.Conv2d(4, 4, 1)})

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.kernel = block, nn.Parameter(torch.randn(2, 4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(self.block["input"](self.block["a-b"](x)), self.kernel).flatten(1)

    assert names(Net()) == ["block.a-b", "block.input", "kernel"]
    inside = Normalized(NormalizePixels([0.0] * 3, [1.0] * 3), Net())
    assert names(inside) == ["block.a-b", "block.input", "kernel"]


@pytest.mark.parametrize("name", ["forward", *sorted(TAKEN - set(dir(nn.Module())))])
def test_a_child_may_have_the_name_of_a_graphs_attribute(name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, name, nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))

        def forward(self, x: Tensor) -> Tensor:
            return self._modules[name](x).flatten(1)

    model = Net().eval()
    assert names(model) == [f"{name}_.0"]
    assert torch.equal(trace(model, IMAGES)(IMAGES), model(IMAGES))


def test_a_model_may_be_a_single_layer():
    model = nn.Conv2d(3, 4, 3)
    normalized = Normalized(NormalizePixels([0.0] * 3, [1.0] * 3), model)
    assert names(model) == names(normalized) == ["conv2d"]


class Shared(nn.Module):
    """One convolution and one batch norm, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).relu()
        return self.norm(self.other(self.conv(x))).mean((2, 3))


def test_a_shared_layer_is_one_layer_that_works_twice():
    network = QuantizedNetwork(trace(Shared().eval(), IMAGES), (3, 6, 6))
    conv, other = network.layers
    assert (conv.name, other.name) == ("conv", "other")
    assert conv.macs == 2 * 81 * 36
    network.quantize({"conv": (4, 4), "other": (4, 4)}, Uniform, Uniform)
    assert len(list(network.weights())) == 2
    sources = [network.body.get_submodule(str(n.args[0].target)) for n in conv.nodes]
    assert all(source.quantizer.bits in (4, 8) for source in sources)


def test_a_shared_batch_norm_is_folded_into_neither_layer():
    model = Shared().eval()
    with torch.no_grad():
        model.norm.running_mean.normal_(), model.norm.running_var.uniform_(0.5, 2)
        before = model(IMAGES)
        graph = trace(model, IMAGES)
        fold_in_place(graph)
        assert torch.equal(graph(IMAGES), before)


def test_a_parameter_that_is_added_trains_in_the_graph():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return (x + self.shift.view(1, 3, 1, 1)).mean((2, 3))

    model = Net()
    graph = trace(model, IMAGES)
    (shift,) = (m for m in graph.modules() if isinstance(m, Shift))
    assert shift.value is model.shift


def test_functions_in_place_do_not_change_what_is_read_again():
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 1.5
            z = F.relu_(y)
            return (z + y + x).mean((2, 3))

    assert trace(Net(), IMAGES).meta["traced_difference"] < 1e-6


def test_a_view_that_is_changed_in_place_is_refused():
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 1.0001
            y[:, :1].mul_(2)
            return y.mean((2, 3))

    with pytest.raises(UserError, match="computes something else"):
        trace(Net(), IMAGES)


def test_what_depends_on_the_number_of_images_is_refused():
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * len(x)).mean((2, 3))

    with pytest.raises(UserError, match=r"its graph computes something else.*scale"):
        trace(Net(), IMAGES)


def test_subclasses_of_batch_norm_are_read_by_what_they_do():
    class NormAct(nn.BatchNorm2d):
        def forward(self, input: Tensor) -> Tensor:
            return F.relu(super().forward(input))

    graph = trace(nn.Sequential(NormAct(3), nn.Flatten()).eval(), IMAGES)
    kinds = [type(m) for m in graph.modules()]
    assert nn.BatchNorm2d in kinds
    assert nn.ReLU in kinds
    assert NormAct not in kinds


def test_control_flow_that_the_images_do_not_decide_is_no_obstacle():
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            parts = [x[:, i : i + 1] for i in range(x.shape[1]) if i != 1]
            return torch.cat(parts, 1).mean((2, 3)) if x.shape[2] > 4 else x.mean((2, 3))

    graph = trace(Net(), IMAGES)
    selected = [m.channels.tolist() for m in graph.modules() if isinstance(m, Select)]
    assert selected == [[0], [2]]
