"""The float baseline is trained once for equal choices, by one process at a time."""

import json
import logging
import threading
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from dyadic.data import InMemory
from dyadic.data.synthetic import Synthetic
from dyadic.errors import UserError
from dyadic.models import resnet8
from dyadic.models.normalize import normalized
from dyadic.record.identity import baseline_digest
from dyadic.training import baseline
from dyadic.training.baseline import TRAINED, Baseline, BaselineJob, BaselineRecipe
from dyadic.training.curves import cosine
from dyadic.training.hardware import Hardware
from dyadic.training.processes import locked
from dyadic.training.weights import StartingWeights

HARDWARE = Hardware(accelerator="cpu", precision="32-true", threads=1)


@pytest.fixture
def data(tmp_path):
    source = Synthetic(classes=4, channels=1, size=8, train_images=64, test_images=32, data_seed=0)
    return InMemory(
        "synthetic", source, 4, [0.5], [0.25], data_dir=str(tmp_path), batch_size=16, seed=0,
        holdout=0, image_size=None, crop_padding=1, flip=False,
    )  # fmt: skip


def train(data, cache, determined_by, built, weights=None, epochs=1):
    def network():
        built.append(determined_by)
        torch.manual_seed(0)
        return normalized(resnet8(classes=4, channels=1, width=4), data)

    recipe = BaselineRecipe(epochs, partial(torch.optim.SGD, lr=0.1), cosine)
    return BaselineJob(network, data, weights, recipe, determined_by, HARDWARE, cache).run()


def test_two_at_once_train_it_once_and_the_second_says_that_it_waits(data, tmp_path, caplog):
    built, found, cache = [], [], tmp_path / "baselines"
    directory = cache / baseline_digest({"seed": 0})
    started, release = threading.Event(), threading.Event()
    real = InMemory.train_batches

    def held(self, *which):
        started.set()
        release.wait(30)
        return real(self, *which)

    data.train_batches = held.__get__(data)
    first = threading.Thread(target=lambda: found.append(train(data, cache, {"seed": 0}, built)))
    first.start()
    assert started.wait(30)
    with caplog.at_level(logging.INFO, "dyadic"):
        second = threading.Thread(
            target=lambda: found.append(train(data, cache, {"seed": 0}, built))
        )
        second.start()
        while "waiting for another run" not in caplog.text:
            second.join(0.01)
        release.set()
        first.join()
        second.join()
    assert built == [{"seed": 0}]
    assert found[0].top1 == found[1].top1
    assert all(torch.equal(v, found[1].state[k]) for k, v in found[0].state.items())
    assert not (directory / "checkpoint" / "last.ckpt").exists()


def test_other_choices_are_other_baselines(data, tmp_path):
    built = []
    for choice in ({"seed": 0}, {"seed": 1}, {"seed": 0}):
        train(data, tmp_path, choice, built)
    assert built == [{"seed": 0}, {"seed": 1}]
    assert baseline_digest({"a": 1, "b": 2}) == baseline_digest({"b": 2, "a": 1})


def test_weights_are_scored_as_they_are_without_a_recipe(data, tmp_path):
    trained = train(data, tmp_path, {"seed": 0}, [])
    found = train(data, tmp_path, {"weights": "0"}, [], body_of(trained), epochs=0)
    assert (found.epochs, found.origin, trained.origin) == (0, "mine.pt", TRAINED)
    assert (found.top1, found.top5) == (trained.top1, trained.top5)
    assert all(torch.equal(v, found.state[k]) for k, v in trained.state.items())


def body_of(baseline: Baseline, factor: float = 1.0) -> StartingWeights:
    state = {k[5:]: v for k, v in baseline.state.items() if k.startswith("body.")}
    state = {k: factor * v if v.ndim > 1 else v for k, v in state.items()}
    return StartingWeights(state, "mine.pt", "0")


def test_what_is_kept_was_trained(data, tmp_path):
    torch.manual_seed(0)
    start = resnet8(classes=4, channels=1, width=4).state_dict()
    found = body_of(train(data, tmp_path, {"seed": 0}, [])).state
    assert int(found["bn1.num_batches_tracked"]) == 4  # batches of 16 of 64 images
    assert not torch.equal(found["conv1.weight"], start["conv1.weight"])


def test_the_seconds_are_those_of_making_it(data, tmp_path, monkeypatch):
    trained = train(data, tmp_path, {"seed": 0}, [])
    clock = iter([100.0, 112.36])
    monkeypatch.setattr(baseline, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert train(data, tmp_path, {"weights": "0"}, [], body_of(trained)).seconds == 12.4


def test_weights_that_give_no_finite_loss_are_refused_and_not_kept(data, tmp_path):
    trained = train(data, tmp_path, {"seed": 0}, [])
    wrong = {"weights": "0"}
    with pytest.raises(UserError, match=r"float network, mine\.pt: the loss is"):
        train(data, tmp_path, wrong, [], body_of(trained, 1e38))
    assert not (tmp_path / baseline_digest(wrong) / "baseline.json").exists()


def test_a_baseline_without_its_score_is_made_again(data, tmp_path, caplog):
    built, choices = [], {"seed": 0}
    train(data, tmp_path, choices, built)
    path = tmp_path / baseline_digest(choices) / "baseline.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({"determined_by": facts["determined_by"], "top1": 50.0}))
    train(data, tmp_path, choices, built)
    assert len(built) == 2
    assert "has no 'top5'; the float baseline is made again" in caplog.text


def test_what_was_not_written_is_no_baseline(data, tmp_path, monkeypatch):
    monkeypatch.setattr(BaselineJob, "_write", lambda *_: None)
    with pytest.raises(UserError, match="has no whole baseline; run again"):
        train(data, tmp_path, {"seed": 0}, [])


@pytest.mark.parametrize("epochs", [0, -1, 0.5])
def test_training_takes_whole_epochs_and_at_least_one(data, tmp_path, epochs):
    with pytest.raises(UserError, match=f"epochs={epochs} of the float network; .*at least 1"):
        train(data, tmp_path, {}, [], epochs=epochs)


def test_a_flipped_bit_is_not_believed_and_the_baseline_is_trained_again(data, tmp_path, caplog):
    built, choices = [], {"seed": 0}
    whole = train(data, tmp_path, choices, built)
    directory = tmp_path / baseline_digest(choices)
    for name, at in (("weights.pt", 5000), ("baseline.json", 14)):
        content = bytearray((directory / name).read_bytes())
        content[at] ^= 1
        (directory / name).write_bytes(content)
        caplog.clear()
        again = train(data, tmp_path, choices, built)
        assert f"{name} is damaged" in caplog.text
        assert "made again" in caplog.text
        assert all(torch.equal(v, again.state[k]) for k, v in whole.state.items())
        assert again.top1 == whole.top1
    assert len(built) == 3


def test_a_baseline_of_other_choices_is_not_believed(data, tmp_path, caplog):
    built = []
    train(data, tmp_path, {"seed": 0}, built)
    (tmp_path / baseline_digest({"seed": 0})).rename(tmp_path / baseline_digest({"seed": 1}))
    train(data, tmp_path, {"seed": 1}, built)
    assert built == [{"seed": 0}, {"seed": 1}]
    assert "of other choices" in caplog.text


def test_a_finished_baseline_is_read_without_its_lock(data, tmp_path):
    """Which another user may have made, and which may be held."""
    built, choices = [], {"seed": 0}
    train(data, tmp_path, choices, built)
    with locked(tmp_path / baseline_digest(choices) / "lock", "waiting"):
        train(data, tmp_path, choices, built)
    assert built == [choices]


def test_what_a_killed_run_left_half_written_is_cleared(data, tmp_path):
    left = tmp_path / baseline_digest({"seed": 0}) / "checkpoint" / ".last.ckpt.4711"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    train(data, tmp_path, {"seed": 0}, [])
    assert not left.exists()
