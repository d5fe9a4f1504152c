"""What a quantizer remembers: averages, and extremes."""

import torch

from dyadic.quantizers.statistics import RunningRange


def test_without_momentum_a_range_is_the_extremes_of_all_batches() -> None:
    running = RunningRange(momentum=None)
    for low, high in [(-1.0, 2.0), (-3.0, 1.0), (-2.0, 5.0), (0.0, 0.0)]:
        running.update(torch.tensor(low), torch.tensor(high))
    assert [end.item() for end in running.ends] == [-3.0, 5.0]


def test_a_moving_range_forgets() -> None:
    running = RunningRange(momentum=0.5)
    for high in (4.0, 2.0, 1.0):
        running.update(torch.tensor(-high), torch.tensor(high))
    assert [end.item() for end in running.ends] == [-2.0, 2.0]
