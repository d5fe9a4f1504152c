"""Run records of a realistic shape, made up: what a ResNet-20 on Fashion-MNIST leaves behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.report.workplace import Workplace

METHODS = {
    # method: (largest loss of top-1 at 2 bits, levels as a function of the bits)
    "bottom_up": (2.4, lambda bits: 2**bits),
    "inq": (1.6, lambda bits: 2 ** (bits - 1) + 1),
    "log2": (6.0, lambda bits: 2**bits - 1),
    "log_sqrt2": (3.4, lambda bits: 2**bits - 1),
    "uniform": (9.0, lambda bits: 2**bits - 1),
}
CLASSES = [
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Boot",
]
LAYERS = [
    "conv1",
    *(f"layer{s}.{b}.conv{c}" for s in (1, 2, 3) for b in (0, 1, 2) for c in (1, 2)),
    "fc",
]


def layer_levels(method: str, bits: int) -> np.ndarray:
    """Levels of the kind that the method uses, on [-1, 1]."""
    if method in ("uniform", "bottom_up"):
        return np.linspace(-1, 1, 2**bits - 1)
    base = 2**0.5 if method == "log_sqrt2" else 2.0
    positive = base ** -np.arange(2.0 ** (bits - 2) if method == "inq" else 2 ** (bits - 1) - 1)
    return np.concatenate([-positive, [0.0], positive[::-1]])


def write_histograms(path: Path, method: str, bits: int, rng: np.random.Generator) -> None:
    """Weights and their quantization errors per layer, a confusion matrix, images that differ."""
    arrays: dict[str, Any] = {}
    levels = layer_levels(method, bits)
    for layer in LAYERS:
        scale = rng.uniform(0.2, 0.6)
        weights = rng.normal(0, scale / 3, 4000).clip(-scale, scale)
        nearest = scale * levels[np.abs(weights[:, None] / scale - levels).argmin(1)]
        for kind, values in (("weight", weights), ("error", nearest - weights)):
            counts, edges = np.histogram(values, bins=64)
            arrays[f"{layer}/{kind}_edges"] = edges
            arrays[f"{layer}/{kind}_counts"] = counts
        arrays[f"{layer}/levels"] = scale * levels
    confusion = rng.poisson(6, (10, 10)) + np.diag(rng.integers(880, 960, 10))
    confusion[6, 0], confusion[0, 6] = 97, 84
    arrays["confusion"] = confusion
    images = np.zeros((5, 1, 28, 28), np.uint8)
    for index, image in enumerate(images):
        image[0, 4 : 24 - index, 6 + index : 22] = rng.integers(90, 255, (20 - index, 16 - index))
    arrays["disagreeing"] = images
    arrays["disagreeing_labels"] = np.array([[6, 0, 6], [0, 6, 0], [2, 4, 2], [5, 7, 5], [9, 7, 9]])
    np.savez_compressed(path / "histograms.npz", **arrays)


def history_frame(method: str, top1: float, rng: np.random.Generator) -> pd.DataFrame:
    """Sixteen epochs; INQ freezes at every fourth, the others quantize at once."""
    epochs = np.arange(16)
    portions = np.array([0.5, 0.75, 0.875, 1.0])
    share = portions[epochs // 4] if method == "inq" else np.ones(16)
    dips = np.where((epochs % 4 == 0) & (method == "inq"), 1.2, 0.0)
    starts = (epochs % 4 == 0) if method == "inq" else epochs == 0
    events = [f"freeze {100 * s:g} %" if new else "" for s, new in zip(share, starts, strict=True)]
    return pd.DataFrame(
        {
            "epoch": epochs,
            "step": (epochs + 1) * 469,
            "phase": "freeze" if method == "inq" else "all at once",
            "event": events if method == "inq" else [""] * 16,
            "train_loss": 0.3 * np.exp(-epochs / 6) + 0.05,
            "val_loss": 0.32 * np.exp(-epochs / 8) + 0.2,
            "top1": top1 - dips - 1.5 * np.exp(-epochs / 3) + rng.normal(0, 0.05, 16),
            "top5": 99.7,
            "quantized_share": share,
            "blend": 1.0,
            "lr": 0.01 * 0.5 ** (epochs // 4),
            "seconds": 21.0,
        }
    )


def layers_frame(bits: int, rng: np.random.Generator) -> pd.DataFrame:
    """A row a layer of the ResNet-20."""
    n = len(LAYERS)
    return pd.DataFrame(
        {
            "layer": LAYERS,
            "kind": ["conv"] * (n - 1) + ["linear"],
            "parameters": rng.integers(400, 37000, n),
            "macs": rng.integers(400_000, 2_000_000, n),
            "weight_bits": [8, *[bits] * (n - 2), 8],
            "activation_bits": 8,
            "levels": 2**bits - 1,
            "sqnr_db": 6.02 * bits - 9 + rng.normal(0, 1.2, n),
            "saturations": rng.integers(0, 4, n),
            "zero_share": rng.uniform(0.02, 0.3, n),
            "accumulator_bits": rng.integers(22, 29, n),
            "sensitivity": 10.0 ** rng.uniform(-5, -1, n),
            "float_difference_steps": rng.uniform(0.2, 2.4, n),
        }
    )


def summary_of(method: str, bits: int, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    """A summary with every field of the contract."""
    worst, levels = METHODS[method]
    float_top1 = 92.6 + [0.0, 0.08, -0.05][seed % 3]
    top1 = float_top1 - worst * 3.2 ** (2 - bits) + rng.normal(0.03, 0.06)
    disagreement = float(rng.integers(0, 9)) / 100
    return {
        "name": f"{method}-{bits}bit-seed{seed}",
        "dataset": "fashion_mnist",
        "model": "resnet20",
        "method": method,
        "bits": bits,
        "seed": seed,
        "status": "done",
        "float_top1": round(float_top1, 2),
        "float_top5": 99.82,
        "top1": round(top1, 2),
        "top5": 99.71,
        "top1_drop": round(float_top1 - top1, 2),
        "size_mib": round(0.2696 * bits / 8 * 1.03, 4),
        "gbops": round(0.0311 * bits * 8, 4),
        "size_convention": "weights as stored, 2^20 bytes; first and last layer at 8 bits",
        "bops_convention": "weight bits x activation bits x MACs, convolutions and linear layers",
        "levels": int(levels(bits)),
        "note": "",
        "quantizer": {"weight": method, "activation": "uniform"},
        "schedule": "partition" if method == "inq" else "all_at_once",
        "allocation": "fixed",
        "classes": CLASSES,
        "epochs": {"baseline": 20, "quantize": 16},
        "hardware": "2 CPU cores",
        "started": f"2026-11-20T{8 + bits:02d}:{10 + seed:02d}:00",
        "ended": f"2026-11-20T{8 + bits:02d}:{20 + seed:02d}:00",
        "integer": {
            "engines": ["reference", "compiled", "onnx"],
            "images": 10000,
            "mismatched_logits": 0,
            "mismatched_vs_float64": 0,
            "float32_top1_disagreement": disagreement,
            "top1": round(top1, 2),
        },
        "seconds": {"baseline": 310.0, "quantize": 336.0, "evaluate": 9.0, "integer": 31.0},
        "versions": {"dyadic": "0.1.0", "python": "3.11.7", "torch": "2.15.0", "git": "0" * 40},
    }


def write_run(runs: Path, method: str, bits: int, seed: int, details: bool = True) -> Path:
    """One finished run under `runs`; returns its folder."""
    rng = np.random.default_rng([bits, seed, *method.encode()])
    summary = summary_of(method, bits, seed, rng)
    path = runs / summary["name"]
    path.mkdir(parents=True)
    config = f"method: {method}\nbits: {bits}\nseed: {seed}\nname: {path.name}\n"
    (path / "config.yaml").write_text(config)
    if details:
        history_frame(method, summary["top1"], rng).to_csv(path / "history.csv", index=False)
        layers_frame(bits, rng).to_csv(path / "layers.csv", index=False)
        write_histograms(path, method, bits, rng)
    (path / "summary.json").write_text(json.dumps(summary))
    return path


@pytest.fixture
def make_run() -> Callable[..., Path]:
    """Write one finished run: `make_run(runs, method, bits, seed)`."""
    return write_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five methods, four widths, two seeds; one run in progress; one folder that is no run."""
    root = tmp_path_factory.mktemp("results") / "runs"
    for method in METHODS:
        for bits in (2, 3, 4, 5):
            for seed in range(3 if method in ("inq", "log_sqrt2") else 2):
                write_run(root, method, bits, seed)
    running = root / "inq-3bit-seed9"
    running.mkdir()
    (running / "config.yaml").write_text("method: inq\nbits: 3\nseed: 9\n")
    half = history_frame("inq", 91.0, np.random.default_rng(0)).to_csv(index=False)
    (running / "history.csv").write_text(half[: len(half) * 2 // 3])
    (root / "empty").mkdir()
    return root


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)
