"""What travels in a checkpoint, and what a phase begins with."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.runs import configuration

from dyadic.commands.build import build
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.run.pipeline import _network
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.training.callbacks import RandomState, ScheduleCallback
from dyadic.training.curves import cosine
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training


def test_every_generator_goes_on_where_the_checkpoint_was():
    def draws() -> list[Any]:
        return [torch.rand(3).tolist(), random.random(), np.random.rand(3).tolist()]  # noqa: NPY002

    random.gauss(0, 1)  # leaves half of a pair
    state = RandomState().state_dict()
    expected = draws()
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        assert draws() != expected
        RandomState().load_state_dict(state)
        assert draws() == expected


def test_the_generators_of_gpus_are_restored_where_there_were_any(monkeypatch):
    restored = []
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.append)
    for found in ([], ["state"]):
        RandomState().load_state_dict(RandomState().state_dict() | {"cuda": found})
    assert restored == [["state"]]


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_momentum_is_cleared_where_a_phase_that_restarts_begins(tmp_path, restart, epoch):
    run = build(configuration(tmp_path, "method=uniform_ptq", "start=train"), tmp_path)
    phases = [Phase("first", 1, restart=restart), Phase("second", 2, restart=restart)]
    network = _network(run, run.model())
    module = Training(network, run.data, phases, run.optimizer, run.curve, cross_entropy)
    optimizer = torch.optim.SGD([weight := torch.nn.Parameter(torch.ones(2))], 0.1, momentum=0.9)
    weight.grad = torch.ones(2)
    optimizer.step()
    trainer: Any = SimpleNamespace(current_epoch=epoch, optimizers=[optimizer])
    ScheduleCallback(run.schedule, torch.zeros(1)).on_train_epoch_start(trainer, module)
    begins = epoch in (0, 1)
    assert (len(optimizer.state) == 0) == (restart and begins)


def test_a_baseline_is_of_its_seed(tmp_path):
    keys = [
        build(configuration(tmp_path, "method=inq", "start=train", f"seed={seed}"), tmp_path)
        for seed in (0, 1, 0)
    ]
    first, other, again = (run.baseline_determined_by for run in keys)
    assert first == again
    assert first != other


def test_every_hook_is_called_at_its_moment_also_in_a_run_that_resumes():
    called = []

    class Told(Schedule):
        def enter(self, network, phase, images):
            called.append(("enter", phase))

        def arrange(self, network, phase):
            called.append(("arrange", phase, network.training))

        def step(self, network, epoch):
            called.append(("step", epoch))

    network = QuantizedNetwork(trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), (2,)).eval()
    phases = [Phase("first", 1), Phase("second", 2)]
    data: Any = SimpleNamespace(train_batches=lambda epoch, device=None: [None] * 4)
    module = Training(network, data, phases, torch.optim.SGD, cosine, cross_entropy)
    callback = ScheduleCallback(Told(), torch.zeros(1, 2))
    found = []
    for epoch in range(3):
        called.clear()
        network.eval()
        trainer: Any = SimpleNamespace(current_epoch=epoch, optimizers=[])
        callback.on_train_epoch_start(trainer, module)
        callback.on_train_batch_start(trainer, module, None, 3)
        found.append(list(called))
    assert found == [
        [("enter", 0), ("arrange", 0, True), ("step", 0.75)],
        [("arrange", 0, False), ("enter", 1), ("arrange", 1, True), ("step", 1.75)],
        [("arrange", 1, True), ("step", 2.75)],
    ]
