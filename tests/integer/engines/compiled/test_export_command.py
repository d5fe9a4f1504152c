"""The exported `classify`: files it reads and refuses, and what it says."""

import struct
from pathlib import Path

import pytest
from tests.integer.engines.compiled.exported import COMPILERS, SANITIZERS, build, classify
from tests.integer.random_programs import random_images


@pytest.fixture(scope="module")
def classifier(exported) -> Path:
    return build(exported, COMPILERS[0], *SANITIZERS)


def idx(*header: int) -> bytes:
    return struct.pack(f">{len(header)}I", *header)


def test_idx_files_are_read(classifier, power_of_two):
    images = random_images(power_of_two, 3)
    raw, labelled = classifier.parent / "a.raw", classifier.parent / "a.idx"
    raw.write_bytes(images.tobytes())
    for header in (idx(0x803, 3, 12, 12), idx(0x804, 3, 1, 12, 12)):
        labelled.write_bytes(header + images.tobytes())
        done = classify(classifier, "--idx", labelled)
        assert done.returncode == 0
        assert done.stdout == classify(classifier, raw).stdout


DAMAGED = {
    "empty": b"",
    "half_a_header": idx(0x803, 2)[:6],
    "another_magic": idx(0x801, 2, 12, 12) + bytes(288),
    "other_images": idx(0x803, 2, 28, 28) + bytes(288),
    "other_channels": idx(0x804, 2, 3, 12, 12) + bytes(288),
    "cut_off": idx(0x803, 2, 12, 12) + bytes(287),
    "too_short": idx(0x803, 3, 12, 12) + bytes(288),
    "too_long": idx(0x803, 1, 12, 12) + bytes(288),
    "billions": idx(0x803, 2**32 - 1, 12, 12) + bytes(288),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_idx_files_are_refused(classifier, tmp_path, damage):
    (tmp_path / "damaged").write_bytes(DAMAGED[damage])
    done = classify(classifier, "--idx", tmp_path / "damaged")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_truncated_raw_file_is_refused(classifier, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(144 * 2 - 1))
    done = classify(classifier, tmp_path / "raw")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cut off" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["missing"], ["--idx"], ["a", "b"], ["."], ["--test", "a"]]
)
def test_wrong_arguments_are_refused(classifier, arguments):
    done = classify(classifier, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_lines_that_cannot_be_written_are_an_error(classifier, power_of_two):
    raw = classifier.parent / "two.raw"
    raw.write_bytes(random_images(power_of_two, 2).tobytes())
    for arguments in (f"'{raw}'", "--test"):
        for into in (">/dev/full", ">&-"):
            done = classify(Path("/bin/sh"), "-c", f"'{classifier}' {arguments} {into}")
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), (arguments, into)
