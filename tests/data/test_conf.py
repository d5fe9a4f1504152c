from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from dyadic.commands.names import register
from dyadic.data import ImageFolders, InMemory

CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"


def names() -> list[str]:
    return sorted(path.stem for path in CONF.glob("*.yaml"))


def test_the_promised_sets_are_there() -> None:
    assert names() == ["cifar10", "cifar100", "fashion_mnist", "folder", "imagenet", "synthetic"]


@pytest.mark.parametrize("name", names())
def test_a_set_is_named_after_its_file_and_its_options_exist(name: str) -> None:
    register()
    loaded = OmegaConf.load(CONF / f"{name}.yaml")
    if name == "folder":
        loaded.folder = "pictures/folder"
    config = OmegaConf.create({"dataset": loaded, "data_dir": "data"}).dataset
    assert config.name == name
    # binds every argument; the files are read only when the partial is called
    made = instantiate(config, data_dir="data", seed=0, _partial_=True)
    assert made.func in (InMemory, ImageFolders)


def test_the_generated_set_takes_its_number_of_classes_from_the_set() -> None:
    config = OmegaConf.load(CONF / "synthetic.yaml")
    config.classes = 3
    data = instantiate(config, data_dir="data", seed=0)
    assert data.classes == 3
    assert set(data.train.labels.tolist()) == {0, 1, 2}
