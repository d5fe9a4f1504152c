"""Flipped bits, mutated programs and hostile records: `make test-faults`."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.commands.test_recorded import DATASET, HOSTILE
from tests.integer.random_programs import random_images, random_program
from tests.runs import configuration

from dyadic.commands.build import run
from dyadic.commands.recorded import recorded_data
from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import compare
from dyadic.integer.program.files import checksum, load_proof, save
from dyadic.record.config import read_config
from dyadic.record.files import read_sealed
from dyadic.record.read import read_record
from dyadic.record.show import finished
from dyadic.training.checkpoint import load_tensors

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
FLIPS, MUTATIONS = 150, 10_000


def plain(value: Any) -> Any:
    """Tensors and arrays as something that `==` compares."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), value.shape, value.cpu().numpy().tobytes())
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    return value


def record_of(path: Path) -> Any:
    record = read_record(path.parent)
    assert record is not None
    return str(record.history()), str(record.layers()), plain(record.histograms())


EXACT: dict[str, Callable[[Path], Any]] = {
    "baseline.json": lambda path: {k: v for k, v in read_sealed(path).items() if len(k) != 6},
    "weights.pt": lambda path: plain(load_tensors(path)),
    "last.ckpt": lambda path: plain(load_tensors(path)),
    "program.json": lambda path: repr(load_proof(path.parent).program),
    "weights.npz": lambda path: repr(load_proof(path.parent).program),
}
"""Files that a run reads back: refused, or the same to the last bit."""

SHOWN: dict[str, Callable[[Path], Any]] = {
    "summary.json": lambda path: finished(path.parent),
    "config.yaml": read_config,
    "history.csv": record_of,
    "layers.csv": record_of,
    "histograms.npz": record_of,
}
"""Files that a reader shows: shown or refused in one line, never a traceback."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("record")
    run(configuration(place, "method=inq", "schedule.portions=[0.5,1.0]", "start=train"))
    return place


@pytest.mark.parametrize("name", [*EXACT, *SHOWN])
def test_a_flipped_bit_is_seen_or_changes_nothing(results, name, tell):
    path = next(p for p in results.rglob(name) if p.suffix != ".csv" or "runs" in p.parts)
    whole, draw, failures = path.read_bytes(), random.Random(name), []
    read = (EXACT | SHOWN)[name]
    expected = read(path)
    positions = [draw.randrange(8 * len(whole)) for _ in range(FLIPS)]
    try:
        for position in positions:
            content = bytearray(whole)
            content[position // 8] ^= 1 << position % 8
            path.write_bytes(content)
            try:
                if read(path) != expected and name in EXACT:
                    failures.append(f"bit {position} changed the value")
            except UserError as error:
                if not str(error).isprintable():
                    failures.append(f"bit {position}: more than a line: {error!r}")
            except Exception as error:  # counted, with what it was
                failures.append(f"bit {position}: {error!r}")
    finally:
        path.write_bytes(whole)
    tell(f"flipped bits in {name}", FLIPS, failures)


def mutated(tree: Any, draw: random.Random) -> None:
    """Change one number, text or entry somewhere in a program's JSON, in place."""
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(node[key], dict | list) and draw.random() < 0.9:
            node = node[key]
            continue
        old = node[key]
        extreme = [0, 1, -1, 2**31 - 1, -(2**31), 2**32, 2**63, 10**400, 0.5, None, True, "x"]
        near = [old + 1, old - 1, -old, old * 2] if isinstance(old, int) else [[], {}, "\x1b[2J\n"]
        if draw.random() < 0.1:
            del node[key]
        else:
            node[key] = draw.choice(near if draw.random() < 0.6 else extreme)
        return


def test_a_mutated_program_is_refused_or_all_engines_agree(tmp_path, tell):
    """With its checksum made anew: what a bit cannot do, a stranger can."""
    draw, failures, accepted, each = random.Random(2), [], 0, MUTATIONS // 40
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        save(random_program(seed), folder)
        text = (folder / "program.json").read_text()
        with np.load(folder / "weights.npz") as archive:
            packed = next(iter(archive.values()))
        for _ in range(each):
            tree = json.loads(text)
            mutated(tree, draw)
            with contextlib.suppress(KeyError, TypeError):  # it hangs on the version
                tree["sha256"] = checksum(tree, packed)
            (folder / "program.json").write_text(json.dumps(tree))
            try:
                program = load_proof(folder).program
                images = random_images(program, 2)
                report = compare(engines(program), images, np.zeros(2, np.int64))
                accepted += 1
                if not report.passed:
                    failures.append(f"{seed}: {report.first_difference}")
            except UserError as error:
                if not str(error).isprintable():
                    failures.append(f"{seed}: more than a line: {error!r}")
            except Exception as error:
                failures.append(f"{seed}: {error!r}")
        shutil.rmtree(folder)
    assert accepted > each
    tell(f"mutated programs ({accepted} still valid)", 40 * each, failures)


def test_a_hostile_record_does_nothing(tmp_path, tell):
    failures, cases = [], 0
    for what, made in HOSTILE.items():
        for dataset in (made, DATASET | {"source": made}, DATASET | {"std": [{"deep": [made]}]}):
            cases += 1
            folder = tmp_path / str(cases)
            folder.mkdir()
            text = yaml.safe_dump({"dataset": dataset, "seed": 0, "data_dir": "data"})
            (folder / "config.yaml").write_text(text)
            try:
                recorded_data(folder, None)
                failures.append(f"{what}: not refused")
            except UserError as error:
                if not str(error).isprintable():
                    failures.append(f"{what}: more than a line")
            if Path("there").exists() or [p.name for p in folder.iterdir()] != ["config.yaml"]:
                failures.append(f"{what}: it wrote")
    tell("hostile records", cases, failures)
