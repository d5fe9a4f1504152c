import torch

from dyadic.data import InMemory
from dyadic.data.few import Few
from dyadic.data.synthetic import Synthetic


def test_every_pass_is_its_first_images(tiny: Synthetic) -> None:
    data = InMemory("tiny", tiny, 4, [0.5] * 3, [0.25] * 3, batch_size=8, holdout=18)
    few = Few(data)
    for pass_of in ("test_batches", "validation_batches", "watched_batches"):
        found, whole = (list(getattr(x, pass_of)()) for x in (few, data))
        assert len(found) == len(getattr(few, pass_of)()) == 2
        pairs = zip(found[0] + found[1], whole[0] + whole[1], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert len(few.train_batches(0)) == 2
    assert len(few.test_arrays()[1]) == 16
    assert len(torch.cat([x for x, _ in few.calibration_batches(1024)])) == 32
    assert (few.classes, few.image_shape, few.mean) == (4, (3, 12, 12), data.mean)


def test_large_batches_are_cut(tiny: Synthetic) -> None:
    few = Few(InMemory("tiny", tiny, 4, [0.5] * 3, [0.25] * 3, batch_size=50))
    assert [len(labels) for _, labels in few.train_batches(0)] == [32]


def test_calibration_takes_as_many_images_as_two_batches() -> None:
    few = Few(InMemory("many", Synthetic(4, 1, 8, 70, 2), 4, [0.5], [0.25], batch_size=32))
    assert len(torch.cat([x for x, _ in few.calibration_batches(1024)])) == 64
