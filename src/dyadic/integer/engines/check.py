"""The proof that a program is right: all engines and the float64 network agree, on every image."""

from dataclasses import dataclass

import numpy as np

from dyadic.integer.engines.available import Engines


@dataclass(frozen=True)
class CheckReport:
    """What the comparison of engines found.

    mismatched               logits in which each other engine differs from the reference, by name
    mismatched_vs_float64    logits in which the float64 network differs, None if not compared
    float32_top1_disagreement images that the float32 network decides otherwise, in percent
    float32_steps            largest difference of its logits, in steps of the program's scale
    traced_difference        largest, of logits of the model and of its graph; None if not compared
    top1                     of the program, in percent; None without labels
    first_difference         layer, channel and pixel of the first value that differs; empty if none
    """

    engines: list[str]
    missing: list[str]
    images: int
    mismatched: dict[str, int]
    mismatched_vs_float64: int | None
    float32_top1_disagreement: float | None
    float32_steps: int | None
    top1: float | None
    predictions: np.ndarray
    first_difference: str = ""
    traced_difference: float | None = None

    @property
    def mismatched_logits(self) -> int:
        """Logits in which any engine differs from the reference."""
        return sum(self.mismatched.values())

    @property
    def passed(self) -> bool:
        """Exact means equal: not one value may differ."""
        return self.mismatched_logits == 0 and not self.mismatched_vs_float64

    @property
    def chain(self) -> dict[str, str]:
        """What each == of the chain, from the user's model to the last engine, was found to be."""
        found: dict[str, str] = {}
        if self.traced_difference is not None:
            found["model, its graph"] = f"{self.traced_difference:.1e} apart in floats"
        if self.float32_steps is not None:
            share = f"{self.float32_top1_disagreement:.2f} % of top-1"
            found["float32, float64"] = f"{self.float32_steps} steps apart at most, {share}"
        if self.mismatched_vs_float64 is not None:
            found["float64, reference"] = f"{self.mismatched_vs_float64} logits differ"
        return found | {
            f"reference, {name}": f"{count} logits differ"
            for name, count in self.mismatched.items()
        }

    def __str__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED: {self.first_difference}"
        top1 = {} if self.top1 is None else {"top-1": f"{self.top1:.2f} %"}
        rows = {"images": str(self.images)} | top1 | self.chain
        lines = [f"integer check {verdict}", *(f"  {key:<20} {rows[key]}" for key in rows)]
        return "\n".join([*lines, *(f"  {reason}" for reason in self.missing)])


def compare(
    engines: Engines,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    float64: np.ndarray | None = None,
    float32: np.ndarray | None = None,
    traced_difference: float | None = None,
) -> CheckReport:
    """Run every engine on every image and compare; logits of the float networks where given.

    images uint8 [N, C, H, W], labels [N], logits [N, classes] in steps of the program's scale.
    """
    names = list(engines.available)
    logits = {name: engine.run(images) for name, engine in engines.available.items()}
    reference = logits[names[0]]
    wrong = {name: reference != logits[name] for name in names[1:]}
    off = None if float64 is None else reference != float64
    difference = ""
    for name, where in wrong.items():
        if where.any() and not difference:
            difference = _locate(engines, name, images, where)
    if off is not None and off.any() and not difference:
        image = int(np.flatnonzero(off.any(axis=1))[0])
        difference = f"the float64 network differs in the logits of image {image}"
    predictions = reference.argmax(axis=1)
    disagreement = steps = None
    if float32 is not None:
        steps = int(np.abs(float32 - reference).max(initial=0))
        disagreement = round(100 * float((float32.argmax(axis=1) != predictions).mean()), 4)
    return CheckReport(
        engines=names,
        missing=engines.missing,
        images=len(images),
        mismatched={name: int(where.sum()) for name, where in wrong.items()},
        mismatched_vs_float64=None if off is None else int(off.sum()),
        float32_top1_disagreement=disagreement,
        float32_steps=steps,
        top1=None if labels is None else round(100 * float((predictions == labels).mean()), 4),
        predictions=predictions,
        first_difference=difference,
        traced_difference=traced_difference,
    )


def _locate(engines: Engines, name: str, images: np.ndarray, wrong: np.ndarray) -> str:
    """Trace the first wrong image through two engines."""
    first = int(np.flatnonzero(wrong.any(axis=1))[0])
    reference = next(iter(engines.available))
    one = images[first : first + 1]
    found = first_difference(
        engines.available[reference].trace(one), engines.available[name].trace(one)
    )
    where = found or "only in a batch: each layer agrees on the image alone"
    return f"{name} against {reference}, image {first}: {where}"


def first_difference(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> str:
    """The first tensor, in the program's order, that differs, and where; empty if none does.

    >>> zeros = np.zeros((1, 1, 2, 2), dtype=np.int64)
    >>> first_difference({"a": zeros}, {"a": zeros + np.eye(2, dtype=np.int64)})
    'a, channel 0, row 0, column 0: 1 instead of 0'
    """
    for name, values in expected.items():
        if name not in found:
            continue
        different = np.argwhere(values != found[name])
        if len(different):
            index = tuple(int(i) for i in different[0])
            place = zip(("channel", "row", "column"), index[1:], strict=False)
            where = ", ".join(f"{axis} {i}" for axis, i in place)
            return f"{name}, {where}: {int(found[name][index])} instead of {int(values[index])}"
    return ""
