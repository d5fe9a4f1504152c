"""Files are whole or absent, and a flipped bit in a sealed one is seen."""

import json
import os

import pytest

from dyadic.record.files import (
    Damaged,
    clear_temporaries,
    read_json,
    read_sealed,
    write_atomically,
    write_json,
    write_rows,
    write_sealed,
)
from dyadic.record.read import read_csv

VALUE = {"top1": 91.25, "epochs": 3, "of": {"a": [1, None]}}


def test_a_sealed_file_is_read_back(tmp_path):
    write_sealed(tmp_path / "x.json", VALUE)
    assert read_sealed(tmp_path / "x.json") == VALUE
    write_json(tmp_path / "x.json", VALUE)  # of an earlier version
    assert read_sealed(tmp_path / "x.json") == VALUE


def test_no_flipped_bit_of_a_sealed_file_changes_what_is_read(tmp_path):
    path = tmp_path / "x.json"
    write_sealed(path, VALUE)
    whole, refused = path.read_bytes(), 0
    for position in range(8 * len(whole)):
        content = bytearray(whole)
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        try:
            found = read_sealed(path)
        except Damaged:
            refused += 1
        else:
            assert {k: found[k] for k in VALUE} == VALUE, position
    assert refused > 4 * len(whole)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000, "\x00"])
def test_what_is_no_object_is_one_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(Damaged) as refused:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(refused.value)


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, VALUE)
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(TypeError), write_atomically(path) as temporary:
        temporary.write_text(b"half")  # type: ignore[arg-type]
    assert json.loads(path.read_text()) == VALUE
    assert [found.name for found in tmp_path.iterdir()] == ["x.json"]


def test_temporaries_of_a_killed_process_are_cleared_and_nothing_else(tmp_path):
    kept = [".config", ".a.b", "x.1", "deep/y"]
    for name in [*kept, ".x.json.17", "deep/.z.18"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    clear_temporaries(tmp_path)
    assert sorted(
        p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()
    ) == sorted(kept)


def test_where_others_write_only_what_is_old_goes(tmp_path):
    new, old = tmp_path / ".x.json.12", tmp_path / ".y.json.34"
    for path in (new, old):
        path.write_text("{")
    os.utime(old, (0, 0))
    clear_temporaries(tmp_path, older=3600)
    assert list(tmp_path.iterdir()) == [new]


def test_no_cell_of_a_table_is_a_formula_and_each_is_read_back(tmp_path):
    names = ["=1+1", "+x", "-x", "@x", "conv1", "'quoted'"]
    write_rows(tmp_path / "x.csv", ["layer", "drop"], [{"layer": n, "drop": -0.5} for n in names])
    lines = (tmp_path / "x.csv").read_text().splitlines()[1:]
    assert [line[0] for line in lines] == ["'", "'", "'", "'", "c", "'"]
    table = read_csv(tmp_path / "x.csv")
    assert list(table.layer) == names
    assert list(table["drop"]) == [-0.5] * 6
