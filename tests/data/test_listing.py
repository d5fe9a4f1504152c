"""Which pictures of a folder are for training, for testing, and no pictures at all."""

from pathlib import Path

import pytest

from dyadic.data.listing import listed
from dyadic.errors import UserError


def fill(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        place = folder / name.replace("__", "/")
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (place / f"{number}.png").touch()
    return folder


def names(samples: list[tuple[str, int]]) -> set[str]:
    return {path for path, _ in samples}


def test_train_and_val_are_as_they_stand(tmp_path: Path) -> None:
    fill(tmp_path, train__cat=3, train__dog=2, val__cat=1, val__dog=1)
    found = listed(tmp_path, 0.5)
    assert found.classes == ("cat", "dog")
    assert [label for _, label in found.train] == [0, 0, 0, 1, 1]
    assert names(found.test) == {str(tmp_path / "val" / c / "0.png") for c in ("cat", "dog")}


@pytest.mark.parametrize("prefix", ["", "train__"])
def test_without_val_a_share_of_each_class_is_for_testing(tmp_path: Path, prefix: str) -> None:
    fill(tmp_path, **{f"{prefix}cat": 10, f"{prefix}dog": 3})
    found = listed(tmp_path, 0.2)
    assert [label for _, label in found.test] == [0, 0, 1]
    assert len(found.train) == 10
    assert not names(found.train) & names(found.test)
    assert listed(tmp_path, 0.2) == found


@pytest.mark.parametrize(
    ("pictures", "share", "tested"),
    [(2, 0.9, 1), (2, 0.1, 1), (3, 0.9, 2), (9, 0.01, 1), (9, 0.99, 8), (10, 0.26, 3)],
)
def test_each_class_is_tested_and_trained_on(
    tmp_path: Path, pictures: int, share: float, tested: int
) -> None:
    found = listed(fill(tmp_path, cat=pictures, dog=pictures), share)
    assert [label for _, label in found.test] == [0] * tested + [1] * tested
    assert [label for _, label in found.train].count(1) == pictures - tested
    assert found.test == sorted(found.test)
    assert found.train == sorted(found.train)


def test_which_pictures_are_tested_is_random(tmp_path: Path) -> None:
    found = listed(fill(tmp_path, cat=9, dog=9), 0.4)
    cats, dogs = ([Path(path).stem for path, of in found.test if of == label] for label in range(2))
    assert cats != dogs


def test_a_class_may_be_elsewhere_under_a_link(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", more=3)
    fill(tmp_path / "set", cat=2, dog=2)
    (tmp_path / "set" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "set" / "emu").symlink_to(tmp_path / "elsewhere")
    found = listed(tmp_path / "set", 0.5)
    assert found.classes == ("cat", "dog", "emu")
    assert len(found.train) + len(found.test) == 10


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert listed(fill(tmp_path, train=4, plane=4), 0.25).classes == ("plane", "train")


def test_hidden_folders_and_files_are_neither_classes_nor_pictures(tmp_path: Path) -> None:
    fill(tmp_path, cat=2, dog=2, **{".ipynb_checkpoints": 2, "cat__.ipynb_checkpoints": 1})
    (tmp_path / "cat" / "._0.png").touch()
    (tmp_path / "cat" / "notes.txt").touch()
    found = listed(tmp_path, 0.5)
    assert found.classes == ("cat", "dog")
    assert len(found.train) + len(found.test) == 4


def test_pictures_in_folders_of_a_class_count(tmp_path: Path) -> None:
    fill(tmp_path, train__cat__first=2, train__cat__second=1, train__dog=1, val__cat=1, val__dog=1)
    assert len(listed(tmp_path, 0.5).train) == 4


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"train__cat": 1, "train__dog": 1, "val__cat": 1}, "class dog is in train alone"),
        ({"train__cat": 1, "val__cat": 1, "val__emu": 1}, "class emu is in val alone"),
        ({"cat": 3, "dog": 0}, "dog holds no pictures"),
        ({"cat": 3, "dog": 1}, "dog holds 1 picture; a class is split"),
        ({"cat": 3}, "holds 1 folders of pictures; the layout is"),
    ],
)
def test_what_is_no_set_is_one_line(tmp_path: Path, counts: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        listed(fill(tmp_path, **counts), 0.2)
    assert "\n" not in str(error.value)


def test_a_missing_folder_and_a_share_out_of_range_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        listed(tmp_path / "nowhere", 0.2)
    for share in (0, 1, -0.1, 1.1):
        with pytest.raises(UserError, match=f"val_share={share};"):
            listed(fill(tmp_path, cat=2, dog=2), share)
