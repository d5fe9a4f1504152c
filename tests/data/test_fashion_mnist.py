import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dyadic.data import fashion_mnist as module
from dyadic.data.fashion_mnist import FILES, fashion_mnist, read_idx
from dyadic.errors import UserError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([9, 0, 4], dtype=np.uint8)


def idx(values: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    return header + values.tobytes()


def write_set(folder: Path, packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        content = idx(IMAGES if "images" in name else LABELS)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture(autouse=True)
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for Debian's package that is empty at first, whatever this machine has."""
    folder = tmp_path / "debian"
    monkeypatch.setattr(module, "DEBIAN_PACKAGE", folder)
    return folder


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], None]], None]:
    def replace(action: Callable[[Path], None]) -> None:
        dataset = "torchvision.datasets.FashionMNIST"
        monkeypatch.setattr(dataset, lambda root, download: download and action(Path(root)))

    return replace


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["data", "data/FashionMNIST/raw", "debian"])
def test_the_files_are_found_where_they_are(tmp_path: Path, place: str, packed: bool) -> None:
    write_set(tmp_path / place, packed)
    train, test = fashion_mnist(tmp_path / "data")
    for part in (train, test):
        assert np.array_equal(part.images.numpy()[:, 0], IMAGES)
        assert part.labels.tolist() == LABELS.tolist()


def test_data_dir_comes_before_the_package(tmp_path: Path, debian: Path) -> None:
    write_set(tmp_path / "data")
    debian.mkdir()
    (debian / FILES[0]).write_bytes(b"not looked at")
    assert len(fashion_mnist(tmp_path / "data")[0]) == 3


@pytest.mark.parametrize("there", [False, True])
def test_what_is_nowhere_is_downloaded_once(
    tmp_path: Path, download: Callable, there: bool
) -> None:
    download(lambda root: write_set(root / module.DOWNLOADED))
    data_dir = tmp_path / "new" / "data"
    if there:
        data_dir.mkdir(parents=True)
    assert len(fashion_mnist(data_dir)[0]) == 3
    assert [path.name for path in data_dir.iterdir()] == ["FashionMNIST"]
    download(lambda root: pytest.fail("downloaded again"))
    assert len(fashion_mnist(data_dir)[0]) == 3


def test_a_failed_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, download: Callable
) -> None:
    def torn(root: Path) -> None:
        (root / FILES[0]).write_bytes(b"half")
        raise RuntimeError("Error downloading train-images")

    download(torn)
    with pytest.raises(UserError, match=r"download failed.*dataset-fashion-mnist") as error:
        fashion_mnist(tmp_path / "data")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "data")
    (tmp_path / "data" / FILES[3]).unlink()
    with pytest.raises(UserError, match=f"{FILES[3]}.* is missing"):
        fashion_mnist(tmp_path / "data")


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGE = [
    truncated,
    lambda content: b"",
    lambda content: b"<html>404</html>",
    lambda content: content + b"0",
    lambda content: bytes((0, 0, 9)) + content[3:],  # of signed bytes
    lambda content: bytes((0, 0, 8, 0, 5)),  # one value, of no dimension
]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable, packed: bool) -> None:
    write_set(tmp_path, packed)
    path = tmp_path / (f"{FILES[0]}.gz" if packed else FILES[0])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"{FILES[0]}.* is damaged") as error:
        read_idx(path)
    assert "\n" not in str(error.value)


def test_labels_of_another_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILES[1]
    path.write_bytes(idx(LABELS))
    assert read_idx(path).tolist() == LABELS.tolist()
    path.write_bytes(bytes((0, 0, 9)) + idx(LABELS)[3:])
    with pytest.raises(UserError, match="is damaged"):
        read_idx(path)
