"""Learning-rate curves start again where a phase restarts, and nowhere else."""

import pytest

from dyadic.errors import UserError
from dyadic.schedules.schedule import Phase
from dyadic.training.curves import Polynomial, Steps, WarmCosine, cosine, progress_in_segment

PHASES = [Phase("a", 2), Phase("b", 1), Phase("c", 4, restart=True)]


@pytest.mark.parametrize(
    ("epoch", "progress"), [(0, 0), (1.5, 0.5), (2.25, 0.75), (3, 0), (5, 0.5), (7, 1), (9, 1)]
)
def test_progress_counts_from_the_last_restart(epoch, progress):
    assert progress_in_segment(PHASES, epoch) == progress


def test_a_restart_of_the_first_phase_changes_nothing():
    assert progress_in_segment([Phase("a", 4, restart=True)], 1) == 0.25
    phases = [Phase("a", 1, restart=True), Phase("b", 2, restart=True)]
    assert [progress_in_segment(phases, epoch) for epoch in (0, 0.5, 1, 2)] == [0, 0.5, 0, 0.5]


def test_without_phases_there_is_no_way_to_go():
    assert [progress_in_segment([], epoch) for epoch in (0, 0.5, 2)] == [0, 0.5, 1]


def test_curves_fall_from_one_to_zero():
    for curve in (cosine, Polynomial(), WarmCosine(0.0)):
        values = [curve(p / 10) for p in range(11)]
        assert values[0] == 1
        assert values == sorted(values, reverse=True)
        assert abs(values[-1]) < 1e-12


def test_warm_up_rises_to_one_then_falls():
    curve = WarmCosine(0.25)
    assert curve(0.0) == 0.01  # a first step of length 0 would be none
    assert curve(0.125) == 0.5
    assert curve(0.25) == 1
    assert curve(0.625) == pytest.approx(0.5)
    assert curve(1.0) == 0
    assert WarmCosine()(0.1) == 0.5
    assert Polynomial()(0.25) == 0.75
    assert Polynomial(0.5)(0.75) == Polynomial(0.5)(0.25) == 0.5


def test_steps_multiply_at_their_milestones():
    curve = Steps([0.5, 0.75], gamma=0.1)
    assert [curve(p) for p in (0.49, 0.5, 0.8)] == pytest.approx([1, 0.1, 0.01])
    assert Steps([0.5])(0.0) == 1
    assert Steps([0.5])(0.5) == 0.1
    warm = Steps([0.5], gamma=0.25, warmup=0.5)
    assert [warm(p) for p in (0.25, 0.74, 0.75)] == [0.5, 1, 0.25]


@pytest.mark.parametrize("warmup", [1.0, -0.01])
def test_a_warm_up_longer_than_training_is_refused(warmup):
    with pytest.raises(UserError, match=f"warmup={warmup}"):
        WarmCosine(warmup)
