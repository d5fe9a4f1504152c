"""Building the library: found again by its sources, refused in one line without a compiler."""

import ctypes
import os
import stat
import subprocess

import pytest
from tests.integer.resnet20 import resnet20

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.compiled import CompiledEngine, binding, build, opened
from dyadic.integer.engines.compiled.build import CompilerNotFound, find_compiler, library
from dyadic.record.fingerprint import of_file


@pytest.fixture(autouse=True)
def _forget():
    """Each test decides anew; so does whatever comes after it."""
    library.cache_clear()
    yield
    library.cache_clear()
    opened.bound.cache_clear()


def test_no_compiler_has_an_error_of_its_own(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CompilerNotFound, match="install gcc or clang") as caught:
        library("portable")
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)


def test_the_users_compiler_comes_first(monkeypatch, tmp_path):
    mine = tmp_path / "mycc"
    mine.write_text("#!/bin/sh\nexit 1\n")
    mine.chmod(mine.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(mine))
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path / "cache"))
    assert find_compiler() == str(mine)
    with pytest.raises(UserError, match="could not compile the engine"):
        library("portable")
    assert os.listdir(tmp_path / "cache") == []


def test_a_compiler_that_fails_leaves_the_other_engines(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "/bin/false")
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    opened.bound.cache_clear()
    with pytest.raises(CompilerNotFound, match="/bin/false could not compile the engine"):
        CompiledEngine(resnet20(size=12))
    found = engines(resnet20(size=12))
    assert list(found.available) == ["reference", "onnx"]
    assert found.missing == [
        "no compiled engine: /bin/false could not compile the engine: no message"
    ]


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_library_is_made_again(monkeypatch, tmp_path, damage):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    whole = library("portable")
    content = bytearray(whole.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 4
    whole.unlink()  # other tests have it loaded
    whole.write_bytes(content if damage == "bit" else content[: len(content) // 2])
    library.cache_clear()
    assert of_file(library("portable")) == library("portable").stem[-16:]


@pytest.mark.parametrize("home", ["nobody's", "file"])
def test_without_a_place_to_keep_it_a_library_is_this_processs_own(monkeypatch, tmp_path, home):
    monkeypatch.delenv("DYADIC_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").touch()
    if home == "file":
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
    else:
        monkeypatch.setattr(build.Path, "home", nobody)
    assert library("portable").parent.name.startswith("dyadic-")


def nobody():
    raise RuntimeError("Could not determine home directory.")


def test_structures_are_as_the_compiler_lays_them_out(tmp_path):
    names = ("tensor", "scale", "window", "conv", "lanes", "output", "gemm", "slot", "step", "plan")
    made = [getattr(binding, name.capitalize()) for name in names]
    asked, here = [], []
    for name, structure in zip(names, made, strict=True):
        asked.append(f"sizeof(dy_{name})")
        here.append(ctypes.sizeof(structure))
        for field in structure._fields_:
            asked.append(f"offsetof(dy_{name}, {field[0]})")
            here.append(getattr(structure, field[0]).offset)
    lines = "".join(f'printf("%d ", (int)({what}));' for what in asked)
    includes = '#include "dyadic_engine.h"\n#include <stddef.h>\n#include <stdio.h>\n'
    (tmp_path / "sizes.c").write_text(f"{includes}int main(void) {{ {lines} return 0; }}\n")
    program = tmp_path / "sizes"
    compiler = [find_compiler(), f"-I{build.SOURCES}", str(tmp_path / "sizes.c")]
    subprocess.run([*compiler, "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert here == [int(number) for number in done.stdout.split()]


def test_a_library_is_built_once(monkeypatch, tmp_path):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    first = library("portable")
    built = first.stat().st_mtime_ns
    library.cache_clear()
    assert library("portable") == first
    assert first.stat().st_mtime_ns == built
    assert os.listdir(tmp_path) == [first.name]


def test_other_flags_make_another_library(monkeypatch, tmp_path):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    first = library("portable")
    library.cache_clear()
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DANOTHER"))
    assert library("portable") != first
