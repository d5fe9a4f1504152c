"""Programs edited by hand, sealed again: refused by the operation's name."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from tests.integer.program.pieces import HALF, after_pixels, weights
from tests.integer.program.saved import attempt, change, first, sample
from tests.integer.random_programs import random_images

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program import files
from dyadic.integer.program.files import _Reader, load_proof, save
from dyadic.integer.program.operations import Conv, Linear, Program, SumPool
from dyadic.integer.program.requirements import ProgramError

EDITS = {
    "format": lambda t: t.update(format="other"),
    "version": lambda t: t.update(version=3),
    "version is a bool": lambda t: t.update(version=True),
    "missing header field": lambda t: t.pop("note"),
    "unknown header field": lambda t: t.update(extra=1),
    "name is a number": lambda t: t.update(name=3),
    "name is endless": lambda t: t.update(name="x" * 10**5),
    "logit scale 0": lambda t: t.update(logit_scale=0),
    "input shape of two": lambda t: t.update(input_shape=[3, 4]),
    "input shape of floats": lambda t: t.update(input_shape=[3.0, 4, 4]),
    "input shape is huge": lambda t: t.update(input_shape=[2**40, 2**40, 2**40]),
    "no operations": lambda t: t.update(operations=[]),
    "operations are an object": lambda t: t.update(operations={}),
    "an operation is a list": lambda t: t["operations"].append([]),
    "unknown operation": lambda t: t["operations"][0].update(operation="Softmax"),
    "operation without a kind": lambda t: t["operations"][0].pop("operation"),
    "unknown field": lambda t: first(t, "Conv").update(extra=1),
    "missing field": lambda t: first(t, "Conv").pop("bias"),
    "missing weights": lambda t: first(t, "Conv").pop("weights"),
    "weights are null": lambda t: first(t, "Conv").update(weights=None),
    "name used twice": lambda t: t["operations"][1].update(name=t["operations"][0]["name"]),
    "undefined input": lambda t: t["operations"][1].update(inputs=["nowhere"]),
    "cycle": lambda t: t["operations"][1].update(inputs=[t["operations"][-1]["name"]]),
    "reads itself": lambda t: t["operations"][1].update(inputs=[t["operations"][1]["name"]]),
    "inputs are text": lambda t: t["operations"][1].update(inputs="input"),
    "wrong weight shape": lambda t: first(t, "Conv")["weights"]["shape"].reverse(),
    "negative shape": lambda t: first(t, "Conv")["weights"].update(shape=[-1, -1, 1, 1]),
    "huge shape": lambda t: first(t, "Conv")["weights"].update(shape=[2**31, 2**31, 9, 9]),
    "empty shape": lambda t: first(t, "Conv")["weights"].update(shape=[]),
    "offset beyond the end": lambda t: first(t, "Conv")["weights"].update(offset=2**40),
    "negative offset": lambda t: first(t, "Conv")["weights"].update(offset=-1),
    "other bits": lambda t: first(t, "Conv")["weights"].update(bits=16),
    "bits is a float": lambda t: first(t, "Conv")["weights"].update(bits=4.0),
    "levels not ascending": lambda t: first(t, "Conv")["weights"].update(levels=[3, 2, 1]),
    "no levels": lambda t: first(t, "Conv")["weights"].update(levels=[]),
    "ragged levels": lambda t: first(t, "Conv")["weights"].update(levels=[[1, 2], [3]]),
    "three planes": lambda t: first(t, "Conv")["weights"].update(levels=[[1], [2], [3]]),
    "level beyond 64 bits": lambda t: first(t, "Conv")["weights"].update(levels=[0, 2**70]),
    "level is text": lambda t: first(t, "Conv")["weights"].update(levels=["1"]),
    "c above 62": lambda t: first(t, "Conv")["scale"].update(c=[63]),
    "c negative": lambda t: first(t, "Conv")["scale"].update(c=[-1]),
    "b of 32 bits": lambda t: first(t, "Conv")["scale"].update(b=[2**31]),
    "b not normalized": lambda t: first(t, "Requantize")["scale"].update(b=[77], c=[9]),
    "b is missing": lambda t: first(t, "Conv")["scale"].pop("b"),
    "two scales for one tensor": lambda t: first(t, "Requantize")["scale"].update(
        b=[2**30, 2**30], c=[31, 31]
    ),
    "bias too long": lambda t: first(t, "Conv")["bias"].append(0),
    "bias is a float": lambda t: first(t, "Conv")["bias"].__setitem__(0, 0.5),
    "bias is a bool": lambda t: first(t, "Conv")["bias"].__setitem__(0, True),
    "bias too large": lambda t: first(t, "Conv")["bias"].__setitem__(0, 2**62),
    "clamp upside down": lambda t: first(t, "Conv").update(lo=9, hi=3),
    "clamp beyond int32": lambda t: first(t, "Conv").update(hi=2**31),
    "stride 0": lambda t: first(t, "Conv").update(stride=[0, 1]),
    "stride of three": lambda t: first(t, "Conv").update(stride=[1, 1, 1]),
    "padding -1": lambda t: first(t, "Conv").update(padding=[-1, 0]),
    "huge padding": lambda t: first(t, "Conv").update(padding=[2**40, 2**40]),
    "groups 0": lambda t: first(t, "Conv").update(groups=0),
    "groups do not divide": lambda t: first(t, "Conv").update(groups=7),
    "thresholds descending": lambda t: first(t, "Threshold")["thresholds"].reverse(),
    "a value missing": lambda t: first(t, "Threshold")["values"].pop(),
    "ceil is a number": lambda t: first(t, "MaxPool").update(ceil=1),
    "pool padding": lambda t: first(t, "MaxPool").update(padding=[9, 9]),
    "padding that C would wrap": lambda t: first(t, "Conv").update(padding=[2**32, 2**32]),
    "padding above the limit": lambda t: first(t, "Conv").update(padding=[2**15 + 1, 0]),
    "dilation that C would wrap": lambda t: first(t, "Conv").update(dilation=[2**31 - 1, 1]),
    "a window of billions": lambda t: first(t, "MaxPool").update(kernel=[2**31 - 1, 1]),
    "a repetition of gigabytes": lambda t: t["operations"].insert(
        1,
        {"operation": "Repeat", "name": "more", "inputs": ["input"], "times": [2**15, 2**15]},
    ),
    "hours of work": lambda t: first(t, "MaxPool").update(
        kernel=[2**15, 2**15], padding=[2**14, 2**14]
    ),
    "an endless scale": lambda t: t.update(logit_scale=10**400),
    "negative input shape": lambda t: t.update(input_shape=[-2, -8, 8]),
    "an escape in a field's name": lambda t: t.update({"\x1b[31m\nred": 1}),
    "an escape in a name": lambda t: t["operations"][0].update(name="\x1b[31m\nred"),
    "half a letter": lambda t: t["operations"][0].update(name="\ud800"),
    "too many operations": lambda t: t["operations"].extend(
        {"operation": "Relu", "name": str(i), "inputs": ["flat"]} for i in range(5000)
    ),
    "checksum": lambda t: t.update(sha256="0" * 64),
    "one layer less": lambda t: t["operations"].pop(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_hand_edited_programs_are_refused(saved: Path, edit: str) -> None:
    change(saved, EDITS[edit])
    with pytest.raises(ProgramError) as caught:
        load_proof(saved)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000


def test_version_1_had_fewer_fields_and_a_checksum_of_the_weights_alone(tmp_path: Path) -> None:
    pool = SumPool("pool", ("input",), (2, 2), (1, 1), (0, 0))
    program = after_pixels(pool, Conv("conv", ("pool",), *conv_fields()))
    save(program, tmp_path)
    tree = json.loads((tmp_path / "program.json").read_text())
    for field in ("ceil", "counted"):
        del first(tree, "SumPool")[field]
    with np.load(tmp_path / "weights.npz") as stored:
        alone = hashlib.sha256(stored["packed"].tobytes()).hexdigest()
    (tmp_path / "program.json").write_text(json.dumps(tree | {"version": 1, "sha256": alone}))
    images = random_images(program, 2)
    found = ReferenceEngine(load_proof(tmp_path)).run(images)
    assert np.array_equal(found, ReferenceEngine(program).run(images))
    change(tmp_path, lambda tree: tree.update(version=2))
    with pytest.raises(ProgramError, match="ceil, counted expected"):
        load_proof(tmp_path)


@pytest.mark.parametrize(
    ("shape", "bits", "possible"),
    [
        ((2,), 1, True),
        ((2,), 16, True),
        ((2,), 0, False),
        ((2,), 17, False),
        ((0, 2), 1, False),
        ((-1, -1), 1, False),
    ],
)
def test_weights_have_a_size_of_1_to_16_bits(shape: tuple, bits: int, possible: bool) -> None:
    reader = _Reader(np.zeros(9, np.uint8), {})
    stored = {"shape": shape, "bits": bits, "offset": 0, "levels": np.array([1])}
    if possible:
        assert reader._weights(stored, "here").codes.tolist() == [0, 0]
        return
    with pytest.raises(ProgramError, match=rf"^here: shape .* of {bits} bits is not possible"):
        reader._weights(stored, "here")


def conv_fields() -> tuple:
    return weights([0, 1], [-3, 5]), np.array([1, 2]), HALF, -99, 99


@pytest.mark.parametrize("missing", [0, 1])
def test_all_weights_together_have_a_limit(
    saved: Path, missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [o.weights.codes.size for o in sample().operations if isinstance(o, Linear)]
    assert len(layers) > 1
    monkeypatch.setattr(files, "ELEMENTS", sum(layers) - missing)
    found = attempt(saved)
    assert isinstance(found, Program) == (not missing)
    assert not missing or f"with them {sum(layers)} weights" in str(found)


def test_the_operation_is_named(saved: Path) -> None:
    def edit(tree: dict) -> None:
        first(tree, "Conv").update(name="layer3.1.conv2", lo=9, hi=3)
        for operation in tree["operations"]:
            operation["inputs"] = [
                n if n in {o["name"] for o in tree["operations"]} | {"input"} else "layer3.1.conv2"
                for n in operation["inputs"]
            ]

    change(saved, edit)
    with pytest.raises(ProgramError, match=r"'layer3.1.conv2' \(Conv\): clamp from 9 to 3"):
        load_proof(saved)
