"""Building the library: found again by its sources, refused in one line without a compiler."""

import os
import stat

import pytest

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import build
from dyadic.integer.engines.compiled.build import CompilerNotFound, find_compiler, library


@pytest.fixture(autouse=True)
def _forget():
    """Each test decides anew; so does whatever comes after it."""
    library.cache_clear()
    yield
    library.cache_clear()


def test_no_compiler_has_an_error_of_its_own(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CompilerNotFound, match="install gcc or clang") as caught:
        library()
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
        library()
    assert os.listdir(tmp_path / "cache") == []


def test_a_library_is_built_once(monkeypatch, tmp_path):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    first = library()
    built = first.stat().st_mtime_ns
    library.cache_clear()
    assert library() == first
    assert first.stat().st_mtime_ns == built
    assert os.listdir(tmp_path) == [first.name]


def test_other_flags_make_another_library(monkeypatch, tmp_path):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    first = library()
    library.cache_clear()
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DANOTHER"))
    assert library() != first
