"""What a user changes changes its digest, and what she does not touch leaves it."""

import os
from pathlib import Path

from dyadic.record.fingerprint import of_file, of_folder, of_source


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def digest(folder: Path, module: str = "mynet") -> str:
    return of_source(module, [str(folder)])


def test_a_module_and_what_it_imports_beside_it_count(tmp_path: Path) -> None:
    write(tmp_path, mynet="import torch\nfrom blocks import A", blocks="import deep", deep="1")
    write(tmp_path, plot="x")
    first = digest(tmp_path)
    write(tmp_path, plot="changed")
    assert digest(tmp_path) == first
    seen = {first}
    for name in ("mynet", "blocks", "deep"):
        path = tmp_path / f"{name}.py"
        path.write_text(f"{path.read_text()}\n# changed")
        seen.add(digest(tmp_path))
    assert len(seen) == 4


def test_a_package_counts_whole(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").touch()
    (tmp_path / "nets" / "block.py").write_text("1")
    first = digest(tmp_path, "nets.net")
    (tmp_path / "nets" / "block.py").write_text("2")
    assert digest(tmp_path, "nets.net") != first


def test_an_installed_module_does_not_pull_in_its_neighbours(tmp_path: Path) -> None:
    site = write(tmp_path / "site-packages", mynet="import other", other="1")
    first = digest(site)
    write(site, other="2")
    assert digest(site) == first


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert digest(tmp_path) == ""
    assert of_file(tmp_path / "none") == ""


def test_a_file_is_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    assert of_file(tmp_path / "a") == of_file(tmp_path / "b")
    (tmp_path / "b").write_text("2")
    assert of_file(tmp_path / "a") != of_file(tmp_path / "b")


def test_a_folder_is_its_names_sizes_and_times(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    write(folder, cat__a="1", dog__b="22")
    seen = {of_folder(folder)}
    lasting = of_folder(folder, times=False)
    os.utime(folder / "cat" / "a.py", ns=(5, 5))
    seen.add(of_folder(folder))
    assert of_folder(folder, times=False) == lasting
    write(folder, cat__a="333")
    seen.add(of_folder(folder, times=False))
    (folder / "dog" / "b.py").rename(folder / "dog" / "c.py")
    seen.add(of_folder(folder, times=False))
    assert len({*seen, lasting}) == 5
