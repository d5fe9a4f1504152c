"""Weights from a file: what fits, what is named, and what may be missing."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from dyadic.errors import UserError
from dyadic.models import normalized
from dyadic.training.start import Own
from dyadic.training.weights import StartingWeights, read_state


class Grey:
    mean, std = (0.5,), (0.25,)


def body() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def weights(state: dict, **options) -> StartingWeights:
    return StartingWeights(state, "mine.pt", "0", **options)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["0.bias"], "0.bias is missing"),
        (["0.weight", "0.bias", "3.bias"], "0.weight is missing; 0.bias is missing; 3.bias is .*g"),
        (["0.weight", "0.bias", "3.weight", "3.bias"], "; 3.weight is missing and 1 more"),
    ],
)
def test_three_tensors_that_do_not_fit_are_named_and_the_others_counted(missing, said) -> None:
    state = {k: v for k, v in body().state_dict().items() if k not in missing}
    for adapts in (False, True):
        with pytest.raises(UserError, match=f"mine.pt does not fit the network: .*{said}$"):
            weights(state, adapts=adapts).load(normalized(body(), Grey))


def test_the_counters_of_batch_norm_may_be_missing() -> None:
    state = body().state_dict()
    del state["1.num_batches_tracked"]
    network = normalized(body(), Grey)
    assert weights(state).load(network)
    assert torch.equal(network.get_submodule("body")[0].weight, state["0.weight"])


def test_one_number_is_said_in_words() -> None:
    state = body().state_dict() | {"0.bias": torch.tensor(1.0)}
    with pytest.raises(UserError, match=r"0\.bias is one number, not 2$"):
        weights(state).load(normalized(body(), Grey))


def test_weights_bring_their_statistics_or_leave_those_of_the_data() -> None:
    for options, statistics in (({}, [0.5, 0.25]), ({"mean_std": [[0.1], [0.2]]}, [0.1, 0.2])):
        network = normalized(body(), Grey)
        weights(body().state_dict(), **options).load(network)
        found = [network.normalize.mean.item(), network.normalize.std.item()]
        assert found == pytest.approx(statistics)


def test_layers_start_anew_only_where_weights_may_be_adapted() -> None:
    state = body().state_dict() | {"3.weight": torch.ones(5, 8), "3.bias": torch.ones(5)}
    network = normalized(body(), Grey)
    before = network.get_submodule("body")[3].weight.clone()
    with pytest.raises(UserError, match=r"3\.weight is 5x8, not 3x8; 3\.bias is 5, not 3$"):
        weights(state).load(network)
    assert not weights(state, adapts=True).load(network)
    assert torch.equal(network.get_submodule("body")[3].weight, before)
    assert torch.equal(network.get_submodule("body")[0].weight, state["0.weight"])


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(body().state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_state(path)[1] == sha256
    assert Own(path, sha256[:8]).weights({}).sha256 == sha256
    with pytest.raises(UserError, match=f"has changed since its sha256 was {sha256[1:9]}"):
        Own(path, sha256[1:9]).weights({})


def test_what_is_no_mapping_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    for value in (torch.ones(2), {"a": torch.ones(1), "b": 3.0}):
        torch.save(value, path)
        with pytest.raises(UserError, match="does not map names to tensors"):
            read_state(path)
