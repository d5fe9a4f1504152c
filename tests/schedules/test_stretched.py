"""A schedule in other epochs: its phases keep their shares, and it sees its own clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.errors import UserError
from dyadic.schedules.blend import Geometric, GrowingBlend
from dyadic.schedules.post_training import PostTraining
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.schedules.stretched import Stretched, shared

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=6)


class Three(Schedule):
    def phases(self, network):
        return [Phase("a", 4), Phase("none", 0), Phase("b", 1, "event", True)]


@given(LENGTHS, st.integers(0, 300))
def test_epochs_are_shared_out_whole_and_each_phase_has_one(lengths, more):
    given = shared(lengths, len(lengths) + more)
    assert sum(given) == len(lengths) + more
    assert min(given) >= 1
    assert shared(lengths, sum(lengths)) == lengths


def test_phases_keep_what_they_are(monkeypatch):
    first, second = Stretched(Three(), 10).phases(None)
    assert (first.name, first.epochs) == ("a", 8)
    assert second == Phase("b", 2, "event", True)
    assert [phase.epochs for phase in Stretched(Three(), None).phases(None)] == [1, 1]


def test_what_grows_grows_through_the_same_values():
    own = GrowingBlend(150, 50, Geometric())
    short = Stretched(own, 8)
    assert [phase.epochs for phase in short.phases(None)] == [6, 2]
    for epoch in (0.0, 0.5, 3.0, 5.9):
        assert short.blend(epoch) == own.blend(epoch * 25)
    assert short.blend(6.0) == own.blend(150) == 1.0
    assert short.blend(7.5) == own.blend(187.5) == 1.0


def test_its_own_clock_runs_through_every_phase_and_on_behind_them():
    class Clock(Three):
        def blend(self, epoch):
            return epoch

    stretched = Stretched(Clock(), 10)
    assert [phase.epochs for phase in stretched.phases(None)] == [8, 2]
    times = [stretched.blend(epoch) for epoch in (0, 4, 7.5, 8, 9, 10, 11)]
    assert times == [0, 2, 3.75, 4, 4.5, 5, 6]


@pytest.mark.parametrize("epochs", [1, 0, 2.5])
def test_too_few_epochs_say_how_many_there_must_be(epochs):
    with pytest.raises(UserError, match=rf"epochs={epochs}; the schedule has 2 phases"):
        Stretched(Three(), epochs).phases(None)


def test_a_schedule_that_trains_nothing_takes_no_epochs():
    with pytest.raises(UserError, match="trains nothing, leave epochs out"):
        Stretched(PostTraining(), 3).phases(None)
    assert Stretched(PostTraining(), None).phases(None) == []


def test_every_hook_reaches_the_schedule():
    called = []

    class Told(Three):
        def __getattribute__(self, name):
            if name in ("begin", "enter", "arrange", "step", "measure", "finish", "blend"):
                return lambda *arguments: called.append((name, arguments[-1]))
            return super().__getattribute__(name)

    stretched = Stretched(Told(), 10)
    stretched.phases(None)
    stretched.begin(0)
    stretched.enter(0, 1, 2)
    stretched.arrange(0, 1)
    stretched.step(0, 9.0)
    stretched.measure(0)
    stretched.finish(0, 2)
    stretched.blend(4.0)
    names = [name for name, _ in called]
    assert names == ["begin", "enter", "arrange", "step", "measure", "finish", "blend"]
    assert dict(called)["step"] == 4.5
    assert dict(called)["blend"] == 2.0
