import pickle
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from dyadic.data.cifar import cifar10
from dyadic.errors import UserError


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files in CIFAR-10's layout, two images each, and their checksums for torchvision."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    random = np.random.default_rng(0)

    def write(name: str, content: dict) -> list[str]:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return [name, md5(data).hexdigest()]

    def batch(name: str) -> list[str]:
        pixels = random.integers(0, 256, (2, 3 * 32 * 32), dtype=np.uint64).astype(np.uint8)
        # plain bytes: old NumPy pickles are torchvision's business, not this test's
        return write(name, {"data": pixels, "labels": [1, 7]})

    names = [name for name, _ in CIFAR10.train_list]
    monkeypatch.setattr(CIFAR10, "train_list", [batch(name) for name in names])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    meta = write("batches.meta", {"label_names": [str(k) for k in range(10)]})
    entry = {"filename": meta[0], "key": "label_names", "md5": meta[1]}
    monkeypatch.setattr(CIFAR10, "meta", entry)
    return tmp_path


def test_images_arrive_channel_first_with_their_labels(batches: Path) -> None:
    train, test = cifar10(batches)
    assert train.images.shape == (10, 3, 32, 32)
    assert test.labels.tolist() == [1, 7]
    raw = pickle.loads((batches / CIFAR10.base_folder / "test_batch").read_bytes())["data"]
    assert np.array_equal(test.images.numpy().reshape(2, -1), raw)


def test_a_file_with_a_wrong_checksum_is_not_read(
    batches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: CIFAR10) -> None:
        if not self._check_integrity():
            raise OSError("no network")

    monkeypatch.setattr(CIFAR10, "download", unreachable)
    (batches / CIFAR10.base_folder / "data_batch_3").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"CIFAR10 .*damaged.*no network.*cifar-10-python.tar.gz"):
        cifar10(batches)
