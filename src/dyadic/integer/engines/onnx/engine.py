"""The ONNX engine: code that nobody here wrote, ONNX Runtime, computes the same integers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from dyadic.integer.engines.images import batches
from dyadic.integer.engines.onnx.operations import onnx_model
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program
from dyadic.integer.program.requirements import ProgramError
from dyadic.record.files import write_atomically


class OnnxEngine:
    """Runs a program's ONNX graph in ONNX Runtime on the CPU.

    path  an exported model to run; exported anew where it is None
    Raises ProgramError for a program that cannot be proven exact, and for a file that ONNX Runtime
    cannot read or that has other inputs or outputs than the program.
    """

    def __init__(self, program: Program | Proof, path: Path | None = None) -> None:
        self.proof = prove(program)
        self.program = self.proof.program
        if path is None:
            self.session = _session(onnx_model(self.proof).SerializeToString())
            return
        self.session = _read(path)
        if _interface(self.session) != _interface(OnnxEngine(self.proof).session):
            raise ProgramError(f"{path.name}: its input or output is not the program's")

    def run(self, images: np.ndarray) -> np.ndarray:
        """Integer logits, int32 [N, classes], of uint8 images [N, C, H, W]."""

        def logits(batch: np.ndarray) -> np.ndarray:
            return np.asarray(self.session.run(None, {"input": batch})[0])

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            return np.concatenate(list(threads.map(logits, batches(images, self.proof))))

    def trace(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every tensor by name, "input" included, int64 [N, C, H, W] or [N, F]."""
        names = [operation.name for operation in self.program.operations]
        session = _session(onnx_model(self.proof, names).SerializeToString())
        parts = [session.run(None, {"input": x}) for x in batches(images, self.proof)]
        tensors = (np.concatenate(part).astype(np.int64) for part in zip(*parts, strict=True))
        return {"input": images.astype(np.int64), **dict(zip(names, tensors, strict=True))}


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # whole batches side by side take half the time
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _read(path: Path) -> onnxruntime.InferenceSession:
    """A session of a file; ONNX Runtime's errors have no common class but Exception."""
    try:
        return _session(path.read_bytes())
    except OSError as error:
        raise ProgramError(f"{path}: {error.strerror}; an exported program has this file") from None
    except Exception as error:
        reason = str(error).partition("\n")[0][:200]
        raise ProgramError(f"{path.name}: damaged ({reason})") from None


def _interface(session: onnxruntime.InferenceSession) -> list[tuple[str, str, list[int | str]]]:
    """Names, types and shapes of what goes in and out."""
    return [(x.name, x.type, x.shape) for x in (*session.get_inputs(), *session.get_outputs())]


def export_onnx(program: Program | Proof, path: Path) -> None:
    """Write the graph: input "input", uint8 [N, C, H, W]; output int32 [N, classes]."""
    with write_atomically(Path(path)) as temporary:
        temporary.write_bytes(onnx_model(program).SerializeToString())
