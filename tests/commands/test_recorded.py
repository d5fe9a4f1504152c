"""A record from a stranger is read, and nothing that it names can do harm."""

import pytest
import yaml
from hydra.utils import get_object
from tests.runs import configuration

from dyadic.commands.parts import part
from dyadic.commands.recorded import recorded_data
from dyadic.errors import UserError
from dyadic.record.moved import MOVED, today

SOURCE = {
    "_target_": "dyadic.data.synthetic.Synthetic",
    **{"classes": 4, "channels": 1, "size": 8, "train_images": 8, "test_images": 4},
}
DATASET = {
    "_target_": "dyadic.data.InMemory",
    **{"name": "synthetic", "source": SOURCE, "classes": 4, "mean": [0.5], "std": [0.25]},
}


def record(tmp_path, dataset, **choices):
    directory = tmp_path / "record"
    directory.mkdir()
    text = yaml.safe_dump({"dataset": dataset, "seed": 0, "data_dir": "data"} | choices)
    (directory / "config.yaml").write_text(text)
    return directory


def test_a_record_gives_its_image_set(tmp_path):
    data = recorded_data(record(tmp_path, DATASET), None)
    assert data.test_arrays()[0].shape == (4, 1, 8, 8)


HOSTILE = {
    "write": {"_target_": "pathlib.Path.write_text", "self": "there", "data": "x"},
    "nested": {
        "_target_": "pathlib.Path.write_text",
        "self": {"_target_": "pathlib.Path", "_args_": ["there"]},
        "data": "x",
    },
    "copy": {"_target_": "shutil.copyfile", "src": "config.yaml", "dst": "there"},
    "unzip": {"_target_": "zipfile.ZipFile.extractall", "self": {"_target_": "zipfile.ZipFile"}},
    "our writer": {"_target_": "dyadic.record.files.write_text", "path": "there", "content": "x"},
    "through us": {"_target_": "dyadic.data.folders.Path.write_text", "data": "x"},
    "module of ours": {"_target_": "dyadic.data.fashion_mnist.tempfile.mkdtemp"},
    "private": {"_target_": "dyadic.data.fashion_mnist._download", "data_dir": "there"},
    "download": {"_target_": "dyadic.data.cifar.cifar10", "data_dir": "there"},
    "download, too": {"_target_": "dyadic.data.cifar.cifar10", "_args_": ["there"]},
    "system": {"_target_": "os.system", "command": "touch there"},
    "no text": {"_target_": ["os.system"]},
    "own module": {"_target_": "stranger.make"},
}


@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_hostile_record_is_refused_by_name_and_calls_nothing(tmp_path, call, depth):
    (tmp_path / "stranger.py").write_text("open('there', 'w')")
    dataset = [call, DATASET | {"source": call}, DATASET | {"std": [0.25, {"deep": [call]}]}][depth]
    with pytest.raises(UserError, match=r"calls|yours to set") as refused:
        recorded_data(record(tmp_path, dataset), None)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "there").exists()


def test_what_the_command_line_allows_is_called(tmp_path):
    source = {"_target_": "tests.runs.ROOT.joinpath"}
    directory = record(tmp_path, DATASET | {"source": source})
    with pytest.raises(UserError, match=r"--allow tests\.runs\.ROOT\.joinpath"):
        recorded_data(directory, None)
    own = {"_target_": "tests.commands.test_recorded.own_source", "_partial_": True}
    directory.joinpath("config.yaml").write_text(
        yaml.safe_dump({"dataset": DATASET | {"source": own}, "seed": 0})
    )
    data = recorded_data(directory, None, allow=[own["_target_"]])
    assert data.test_arrays()[0].shape == (4, 1, 8, 8)


def own_source(data_dir):
    return part(SOURCE)(data_dir)


def test_where_images_are_is_the_users_to_say(tmp_path):
    directory = record(tmp_path, DATASET, data_dir="/etc")
    with pytest.raises(UserError, match="--data-dir"):
        recorded_data(directory, None)
    assert recorded_data(directory, tmp_path).classes == 4


@pytest.mark.parametrize("text", ["a: 1\n", "dataset: 3\nseed: 0\n", "dataset: {}\nseed: x\n"])
def test_a_damaged_config_is_one_line(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="damaged"):
        recorded_data(tmp_path, None)


FORMER = [
    "dyadic.allocation.sensitivity.HessianTrace",
    "dyadic.allocation.sensitivity.LossIncrease",
    "dyadic.allocation.sensitivity.Sqnr",
    "dyadic.allocation.sensitivity.TopEigenvalue",
    "dyadic.integer.deploy.Deployment",
    "dyadic.quantizers.binary_relax.quantization_set",
    "dyadic.quantizers.calibration.minmax",
    "dyadic.quantizers.calibration.mse",
    "dyadic.quantizers.half_wave.RoundedHalfWave",
    "dyadic.quantizers.half_wave.SparseHalfWave",
    "dyadic.quantizers.learned.Lsq",
    "dyadic.quantizers.learned.Pact",
    "dyadic.quantizers.rounding.nearest_even",
    "dyadic.quantizers.straight_through.clipped",
    "dyadic.quantizers.straight_through.half_wave_clipped",
    "dyadic.quantizers.straight_through.identity",
    "dyadic.quantizers.straight_through.log_tailed",
    "dyadic.quantizers.straight_through.relu",
    "dyadic.quantizers.straight_through.through_relu",
    "dyadic.schedules.blend.Geometric",
    "dyadic.schedules.blend.GrowingBlend",
    "dyadic.schedules.blend.cosine",
    "dyadic.schedules.blend.linear",
    "dyadic.schedules.bottom_up.BottomUp",
    "dyadic.schedules.fold.FreezeThenFold",
    "dyadic.schedules.none.PostTraining",
    "dyadic.schedules.partition.GrowingPartition",
    "dyadic.schedules.partition.largest_first",
    "dyadic.schedules.partition.random",
    "dyadic.schedules.two_step.TwoStep",
    "dyadic.sweep.Outcomes",
    "dyadic.training.baseline.BaselineRecipe",
    "dyadic.training.curves.WarmCosine",
    "dyadic.training.fit.Hardware",
    "dyadic.training.loss.Distillation",
]


@pytest.mark.parametrize("target", FORMER)
def test_a_name_of_an_earlier_version_is_found_today(target):
    assert callable(get_object(today(target)))


def test_a_configuration_of_an_earlier_version_builds(tmp_path):
    schedule = configuration(tmp_path, "method=uniform_ptq").schedule
    schedule["_target_"] = "dyadic.schedules.none.PostTraining"
    assert type(part(schedule)).__module__ == MOVED["dyadic.schedules.none"]
