"""What a run starts from; where torchvision would download, a small stand-in takes its place."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.models import googlenet, inception_v3, normalized, resnet8, resnet18
from dyadic.training.start import Own, Shipped, Torchvision, Train

Replace = Callable[[Callable[[], dict[str, Tensor]]], None]
CHOICES = {
    "dataset": {"name": "shapes", "classes": 4, "mean": [0.5], "std": [0.25], "batch_size": 64},
    "model": {"name": "resnet8", "width": 4},
    "seed": 1,
}


class Grey:
    mean, std = (0.5,), (0.25,)


class Colour:
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


def network(width: int = 4, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return normalized(resnet8(4, 1, width), Grey)


def ship(folder: Path, network: nn.Module) -> Path:
    path = folder / "shapes-resnet8-s1.safetensors"
    save_file(network.get_submodule("body").state_dict(), path)
    facts = {"recipe": {"dataset": CHOICES["dataset"]}, "arguments": CHOICES["model"]}
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(facts | {"sha256": sha256}))
    return path


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def changed(part: str, **options: object) -> dict:
    return CHOICES | {part: CHOICES[part] | options}


@pytest.mark.parametrize("name", ["mine.pt", "mine.safetensors"])
def test_an_own_state_dict_is_loaded_by_the_network_s_own_names(tmp_path: Path, name: str) -> None:
    theirs, mine = network(seed=1), network(seed=2)
    state = theirs.get_submodule("body").state_dict()
    save = save_file if name.endswith(".safetensors") else torch.save
    save(state, tmp_path / name)
    assert Own(tmp_path / name).weights({}).load(mine)
    assert equal(theirs, mine)


def test_weights_that_do_not_fit_name_the_first_tensors(tmp_path: Path) -> None:
    state = network(width=5).get_submodule("body").state_dict()
    state["extra"] = state.pop("bn1.weight")
    torch.save(state, tmp_path / "mine.pt")
    with pytest.raises(UserError) as error:
        Own(tmp_path / "mine.pt").weights({}).load(network())
    first = "bn1.weight is missing; the network has no extra; conv1.weight is 5x1x3x3, not 4x1x3x3"
    assert f"{first} and" in str(error.value)


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    state = network().get_submodule("body").state_dict()
    state["bn1.bias"][1] = torch.nan
    torch.save(state, tmp_path / "mine.pt")
    with pytest.raises(UserError, match=r"bn1\.bias is not finite"):
        Own(tmp_path / "mine.pt").weights({}).load(network())


def test_what_is_no_state_dict_is_one_line_and_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), tmp_path / "trap.pt")
    torch.save({"model": {}}, tmp_path / "nested.pt")
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 20)
    for name, says in [
        ("trap.pt", "no weights"),
        ("nested.pt", "names to tensors"),
        ("torn.safetensors", "no weights"),
        ("absent.pt", "No such file"),
    ]:
        with pytest.raises(UserError, match=says) as error:
            Own(tmp_path / name).weights({})
        assert "\n" not in str(error.value)
    assert not (tmp_path / "sprung").exists()


def test_a_shipped_network_is_found_by_data_set_model_and_seed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs, mine = network(seed=1), network(seed=2)
    path = ship(tmp_path, theirs)
    with caplog.at_level(logging.INFO, "dyadic"):
        usual = {"holdout": 0, "train_share": 1.0}
        found = Shipped(tmp_path).weights(changed("dataset", batch_size=8, **usual))
    assert found is not None
    assert found.of_seed
    assert found.load(mine)
    assert equal(theirs, mine)
    assert f"starts from the shipped {path.name};" in caplog.text
    with caplog.at_level(logging.INFO, "dyadic"):
        Shipped(tmp_path).weights(changed("dataset", holdout=9))
    assert f"{path.name} (trained on other training images);" in caplog.text
    assert Own(path).weights({}).load(network())


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        (CHOICES | {"seed": 2}, "no network is shipped for shapes-resnet8-s2"),
        (changed("model", width=8), "has model.width=4: one is trained"),
        (changed("dataset", mean=[0.4]), "has dataset.mean=[0.5]: one is trained"),
        (changed("dataset", image_size=20), "has dataset.image_size=None: one is trained"),
    ],
)
def test_where_none_fits_it_says_so_and_trains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, choices: dict, says: str
) -> None:
    ship(tmp_path, network())
    with caplog.at_level(logging.INFO, "dyadic"):
        assert Shipped(tmp_path).weights(choices) is None
    assert says in caplog.text


def test_a_shipped_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = ship(tmp_path, network())
    save_file(network(seed=3).get_submodule("body").state_dict(), path)
    with pytest.raises(UserError, match="has not its record's sha256; restore it"):
        Shipped(tmp_path).weights(CHOICES)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="is missing or damaged; restore it"):
        Shipped(tmp_path).weights(CHOICES)


def test_training_starts_from_nothing() -> None:
    assert Train().weights(CHOICES) is None


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Make `weights.get_state_dict` return what a function gives."""

    def replace(make: Callable[[], dict[str, Tensor]]) -> None:
        name = "torchvision.models._api.WeightsEnum.get_state_dict"

        def downloaded(self: object, *, progress: bool, check_hash: bool) -> dict[str, Tensor]:
            assert check_hash
            return make()

        monkeypatch.setattr(name, downloaded)

    return replace


def ones(name: str, **options: bool) -> Callable[[], dict[str, Tensor]]:
    def make() -> dict[str, Tensor]:
        model = torchvision.models.get_model(name, weights=None, **options)
        return {key: torch.ones_like(value) for key, value in model.state_dict().items()}

    return make


def of(name: str, **options: str) -> dict:
    return {"model": {"name": name, **options}}


def test_another_number_of_classes_is_a_new_last_layer(download: Replace) -> None:
    download(ones("resnet18"))
    weights = Torchvision().weights(of("resnet18"))
    kept, replaced = (normalized(resnet18(n, 3), Colour) for n in (1000, 10))
    assert weights.load(kept)
    assert not weights.load(replaced)
    assert (kept.body.fc.weight == 1).all()
    assert (replaced.body.layer1[0].conv1.weight == 1).all()
    assert replaced.body.fc.weight.std() > 0
    assert kept.normalize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_grey_images_sum_the_first_convolution(download: Replace) -> None:
    download(ones("resnet18"))
    model = normalized(resnet18(1000, 1), Grey)
    assert Torchvision().weights(of("resnet18")).load(model)
    assert (model.body.conv1.weight == 3).all()
    assert model.normalize.mean.item() == pytest.approx(0.449)
    assert model.normalize.std.item() == pytest.approx(0.226)


def test_another_stem_starts_anew_and_four_channels_are_refused(download: Replace) -> None:
    download(ones("resnet18"))
    weights = Torchvision().weights(of("resnet18"))
    assert not weights.load(normalized(resnet18(1000, 3, stem="cifar"), Colour))
    four = nn.Sequential()
    four.add_module("normalize", nn.Identity())
    four.add_module("body", resnet18(1000, 4))
    with pytest.raises(UserError, match="3 channels, or 1"):
        weights.load(four)


@pytest.mark.parametrize(
    ("name", "factory"), [("googlenet", googlenet), ("inception_v3", inception_v3)]
)
def test_inceptions_leave_auxiliary_heads_out_and_bring_their_statistics(
    download: Replace, name: str, factory: Callable[..., nn.Module]
) -> None:
    download(ones(name, aux_logits=True, init_weights=False))
    model = normalized(factory(1000, 3), Colour)
    assert Torchvision().weights(of(name)).load(model)
    assert (model.normalize.mean == 0.5).all()
    assert (model.normalize.std == 0.5).all()


@pytest.mark.parametrize("error", [OSError("no network"), RuntimeError("invalid hash value")])
def test_a_failed_download_is_one_line(download: Replace, error: Exception) -> None:
    def fail() -> dict[str, Tensor]:
        raise error

    download(fail)
    with pytest.raises(UserError, match=r"IMAGENET1K_V1 of resnet18 .*start=train") as found:
        Torchvision().weights(of("resnet18"))
    assert "\n" not in str(found.value)


def test_what_torchvision_has_not_is_named() -> None:
    with pytest.raises(UserError, match=r"IMAGENET1K_V9; resnet18 has IMAGENET1K_V1"):
        Torchvision("IMAGENET1K_V9").weights(of("resnet18"))
    with pytest.raises(UserError, match="no weights for resnet8"):
        Torchvision().weights(of("resnet8"))
    with pytest.raises(UserError, match=r"of stride_position=v1\.5, not v1"):
        Torchvision().weights(of("resnet50", stride_position="v1"))
