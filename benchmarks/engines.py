"""The compiled engine against torch FP32, ONNX Runtime INT8 and OpenVINO INT8: time and memory.

ResNet-18 and ResNet-50 at 224 pixels, batch 1 and 8; ResNet-20 at 28 pixels, batch 1 and 64; two
threads each. ResNet-8 at 28 pixels, with the C that is exported for it, in one thread.
All variants take turns in one run; those that are limited to AVX2 in a second one,
in a process of its own, where the others are told so (ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY).
The compiled engine starts from uint8 pixels and is exact; the others are given normalized floats
and round as they like. Weights are random. OpenVINO runs ONNX Runtime's INT8 model, which it turns
into its own 8-bit kernels; where it is not installed (`pip install -e '.[bench]'`) it is left out.
`python benchmarks/engines.py [--rounds 15] [--network resnet18] [--threads 2] [--memory]`; with
other work on the machine, fewer threads than processors and the quartile column tell more.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from exported import BUILDS, exported
from networks import KINDS, NETWORKS, float_network, write_models
from side_by_side import compare

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.program.files import load_proof

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

Run = Callable[[], object]


def eager(name: str, batch: int, layout: torch.memory_format) -> Run:
    """Torch's FP32 forward pass."""
    model = float_network(name).to(memory_format=layout)
    images = torch.randn(batch, *NETWORKS[name][1]).contiguous(memory_format=layout)

    def run() -> object:
        with torch.inference_mode():
            return model(images)

    return run


def onnx_runtime(name: str, batch: int, directory: Path, threads: int) -> Run:
    """ONNX Runtime on the INT8 model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would go on spinning during the other variants' turns.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(directory / f"{name}.onnx"), options)
    images = np.random.default_rng(1).standard_normal((batch, *NETWORKS[name][1]))
    feed = {"x": images.astype(np.float32)}
    return lambda: session.run(None, feed)


def openvino(name: str, batch: int, directory: Path, threads: int) -> Run:
    """OpenVINO on ONNX Runtime's INT8 model."""
    core = importlib.import_module("openvino").Core()
    model = core.read_model(directory / f"{name}.onnx")
    model.reshape([batch, *NETWORKS[name][1]])
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    images = np.random.default_rng(1).standard_normal((batch, *NETWORKS[name][1]))
    feed = {0: images.astype(np.float32)}
    return lambda: request.infer(feed)


def compiled(name: str, batch: int, directory: Path, threads: int, path: str, kind: str) -> Run:
    """The compiled engine on the saved program."""
    engine = CompiledEngine(load_proof(directory / f"{name} {kind}"), threads, path)
    images = np.random.default_rng(1).integers(0, 256, (batch, *NETWORKS[name][1]), np.uint8)
    return lambda: engine.run(images)


def variants(
    name: str, batch: int, directory: Path, threads: int, limited: bool
) -> Mapping[str, Callable[[], Run]]:
    """Makers of everything that is compared, the baseline first."""
    table: dict[str, Callable[[], Run]] = {
        "torch FP32": lambda: eager(name, batch, torch.contiguous_format),
        "torch FP32, channels last": lambda: eager(name, batch, torch.channels_last),
    }
    if not limited:
        table["ONNX Runtime INT8"] = lambda: onnx_runtime(name, batch, directory, threads)
    if importlib.util.find_spec("openvino"):
        table["OpenVINO INT8"] = lambda: openvino(name, batch, directory, threads)
    for path in ("avx2",) if limited else available_paths():
        for kind in list(KINDS)[: 4 if path == available_paths()[0] else 2]:
            table[f"dyadic {kind}, {path}"] = lambda path=path, kind=kind: compiled(
                name, batch, directory, threads, path, kind
            )
    if name == "resnet8" and not limited:
        for build in BUILDS:
            table[f"exported C W8A8, {build}, one thread"] = lambda build=build: exported(
                load_proof(directory / f"{name} W8A8").program, batch, directory, build
            )
    return table


def peak(make: Callable[[], Run]) -> float:
    """MiB that this process holds at most while the variant is made and run, above what it has."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux: begin a new peak
    before = _status("VmRSS")
    run = make()
    for _ in range(3):
        run()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A line of the process's status, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def memory_table(name: str, batch: int, directory: Path, threads: int) -> str:
    """Peak memory of every variant, each in a process of its own, above the bare imports."""
    lines = ["| variant | peak memory above imports, MiB |", "|---|---|"]
    for variant in variants(name, batch, directory, threads, limited=False):
        made = again(name, directory, threads, "--peak", variant, "--batch", str(batch))
        lines.append(f"| {variant} | {made.strip()} |")
    return "\n".join(lines)


def again(name: str, directory: Path, threads: int, *more: str, **environment: str) -> str:
    """What this script prints in a process of its own, on models that are there."""
    arguments = ["--network", name, "--threads", str(threads), "--directory", str(directory)]
    command = [sys.executable, __file__, *arguments, *more]
    told = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=True, env=told).stdout


def times(name: str, directory: Path, threads: int, rounds: int, limited: bool) -> str:
    """A table a batch."""
    tables = []
    for batch in NETWORKS[name][2]:
        made = variants(name, batch, directory, threads, limited)
        title = f"{name}, batch {batch}{', limited to AVX2' if limited else ''}"
        tables.append(compare({variant: make() for variant, make in made.items()}, rounds, title))
    return "\n\n".join(tables)


def processor() -> str:
    """Its name and the sets of instructions that it has for us."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines]
    keys = [line.partition(":")[0].strip() for line in lines]
    family, model, name = (names[keys.index(k)] for k in ("cpu family", "model", "model name"))
    return f"{name} (family {family}, model {model}): {', '.join(available_paths())}"


def versions() -> str:
    """Of what takes part."""
    found = [f"torch {torch.__version__}", f"ONNX Runtime {onnxruntime.__version__}"]
    if importlib.util.find_spec("openvino"):
        found.append(f"OpenVINO {importlib.metadata.version('openvino')}")
    return f"Python {platform.python_version()}, {', '.join(found)}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network", choices=NETWORKS, help="only this one")
    parser.add_argument("--memory", action="store_true", help="peak memory of each, too")
    parser.add_argument("--limited", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # a variant, in a process of its own
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help="of the models, which are kept there")
    choice = parser.parse_args()
    torch.set_num_threads(choice.threads)
    if choice.peak:
        made = variants(choice.network, choice.batch, choice.directory, choice.threads, False)
        print(f"{peak(made[choice.peak]):.0f}")
        return
    if choice.limited:
        print(times(choice.network, choice.directory, choice.threads, choice.rounds, limited=True))
        return
    print(f"{processor()}\n{versions()}, {choice.threads} threads\n")
    for name in [choice.network] if choice.network else NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            report(name, choice.directory or Path(folder), choice)


def report(name: str, directory: Path, choice: argparse.Namespace) -> None:
    """Print a network's tables; its models are made, where the directory has none yet."""
    if not (directory / f"{name}.onnx").exists():
        write_models(name, directory)
    print(times(name, directory, choice.threads, choice.rounds, limited=False), flush=True)
    if "avx2" in available_paths():
        rounds = ("--limited", "--rounds", str(choice.rounds))
        print("\n" + again(name, directory, choice.threads, *rounds, **AVX2), flush=True)
    if choice.memory:
        print(memory_table(name, NETWORKS[name][2][-1], directory, choice.threads), "\n")


if __name__ == "__main__":
    main()
