"""A trial: every part of a run in seconds, and no record that looks like one."""

import pytest
import torch
from tests.runs import configuration, rows_of

from dyadic.commands.build import build, run
from dyadic.run.pipeline import float_network
from dyadic.training.baseline import Baseline


@pytest.mark.parametrize(("weighs", "probes"), [("hessian", 2), ("sqnr", None)])
def test_a_trial_weighs_the_layers_by_few_probes(tmp_path, weighs, probes):
    choices = ["method=hawq_v3", "allocation=ilp", f"sensitivity={weighs}"]
    runs = [build(configuration(tmp_path, *choices, f"trial={x}"), tmp_path) for x in (True, False)]
    trial, whole = (getattr(one.sensitivity, "most", None) for one in runs)
    assert trial == probes
    assert whole == (None if probes is None else 64)


def test_a_trial_is_seconds_of_every_part_and_no_run(tmp_path):
    summary = run(configuration(tmp_path, "method=inq", "trial=true"))
    (directory,) = tmp_path.glob("trials/synthetic-*")
    assert summary["status"] == "trial"
    assert summary["integer"]["mismatched_logits"] == 0
    assert summary["integer"]["images"] == 64
    rows = rows_of(directory / "history.csv")
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "baselines").exists()


def test_a_trial_quantizes_a_network_whose_batch_norms_have_seen_images(tmp_path):
    changed = []
    for trial in (True, False):
        made = build(configuration(tmp_path, "method=inq", f"trial={trial}"), tmp_path)
        state = made.model().state_dict()
        before = [x.clone() for x in state.values()]
        for epochs in (0, 1):  # a network of the user's, and one trained for two steps
            network = float_network(made, Baseline(state, 0.0, 0.0, epochs, 0.0, ""))
            after = network.state_dict().values()
            changed.append(not all(map(torch.equal, before, after)))
    assert changed == [False, True, False, False]
