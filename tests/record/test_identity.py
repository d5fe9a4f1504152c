"""One rule says what a run is: its name, its likes, its float network."""

import copy
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tests.runs import configuration

from dyadic.record.identity import digest, float_choices, identify, run_digest

CONFIG = {
    "bits": 4,
    "seed": 0,
    "name": "run-0",
    "force": False,
    "results_dir": "results",
    "logger": {"mode": "offline"},
    "dataset": {"name": "synthetic", "seed": 3, "workers": 2},
    "model": {"name": "resnet8", "_target_": "dyadic.models.cifar_resnet.resnet8"},
    "start": {"_target_": "dyadic.training.start.Train"},
    "schedule": {"_target_": "dyadic.schedules.partition.GrowingPartition", "seed": 0},
    "deploy": {"stream_bits": 16},
    "trainer": {"baseline": {"epochs": 3}, "optimizer": {"lr": 0.01}},
}
STARTS = float_choices(CONFIG, "32-true") | {"seed": 0, "threads": 2, "device": "cpu"}


def changed(**values):
    """Digests of the example with values at dotted keys."""
    config = copy.deepcopy(CONFIG)
    for dotted, value in values.items():
        *path, last = dotted.split("__")
        place = config
        for key in path:
            place = place[key]
        place[last] = value
    starts = float_choices(config, "32-true") | {"threads": 2, "device": "cpu"}
    return identify(config, starts | {"seed": config["seed"]})


SAME = identify(CONFIG, STARTS)


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ({"name": "run-1"}, []),
        ({"force": True}, []),
        ({"results_dir": "elsewhere"}, []),
        ({"logger": None}, []),
        ({"dataset__workers": 8}, []),
        ({"deploy": None}, ["run"]),
        ({"bits": 5}, ["run", "experiment"]),
        ({"trainer__optimizer__lr": 0.02}, ["run", "experiment"]),
        ({"seed": 1}, ["run", "baseline"]),
        ({"schedule__seed": 1}, ["run"]),
        ({"trainer__baseline__epochs": 9}, ["run", "experiment", "network", "baseline"]),
        ({"dataset__name": "cifar10"}, ["run", "experiment", "network", "baseline"]),
        ({"model__name": "resnet20"}, ["run", "experiment", "network", "baseline"]),
        ({"start": None}, ["run", "experiment", "network"]),
    ],
    ids=str,
)
def test_each_digest_depends_on_its_choices_and_on_no_others(change, differ):
    found = changed(**change)
    assert {key for key in SAME if found[key] != SAME[key]} == set(differ)


def test_machines_share_a_network_and_not_a_baseline():
    other = identify(CONFIG, STARTS | {"threads": 8})
    assert other["network"] == SAME["network"]
    assert other["baseline"] != SAME["baseline"]


def test_a_class_of_this_library_may_move_and_one_of_the_users_is_another():
    ours = changed(model___target_="dyadic.models.elsewhere.resnet8")
    assert ours == SAME
    theirs = [changed(model___target_=f"{module}.Net") for module in ("mine", "other")]
    assert theirs[0]["run"] != theirs[1]["run"]


def test_the_name_has_the_digest_that_the_written_configuration_gives(tmp_path):
    for method in ("inq", "hawq_v3", "binary_relax"):
        cfg = configuration(tmp_path, f"method={method}")
        written = yaml.safe_load(OmegaConf.to_yaml(cfg, resolve=True))
        assert cfg.name.endswith("-" + run_digest(written))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain))
def test_a_digest_is_of_values_and_not_of_their_order(values):
    turned = dict(reversed(values.items()))
    assert digest(values) == digest(turned) == digest(json.loads(json.dumps(values)))
