"""A stranger's `config.yaml`: plain values or one line."""

import pytest
import yaml

from dyadic.errors import UserError
from dyadic.record.config import read_config


def test_what_a_run_writes_is_read_back(tmp_path):
    choices = {"dataset": {"_target_": "dyadic.data.InMemory", "mean": [0.5]}, "seed": 3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(choices))
    assert read_config(tmp_path / "config.yaml") == choices


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1, 1]\nb: [*x, *x]\n", "alias"),
        ("a: ${oc.env:HOME}\n", "interpolation"),
        ("${oc.env:HOME}: [1]\n", "interpolation"),
        ("a: [1, ['${b}']]\n", "interpolation"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("- 1\n", "no choices"),
        ("", "no choices"),
        ("a: [1\n", "damaged"),
        ("a: \x00\n", "damaged"),
        ("a: " + "[" * 5000 + "\n", "RecursionError|recursion"),
        ("a: " + "x" * 2**20, "too long"),
        ("a: 2001-99-99\n", "damaged"),
    ],
)
def test_anything_else_is_one_line(tmp_path, text, says):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=says) as refused:
        read_config(tmp_path / "config.yaml")
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_one_line(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"a: \xff\xfe\x9f")
    with pytest.raises(UserError, match="damaged"):
        read_config(tmp_path / "config.yaml")
