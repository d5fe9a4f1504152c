"""`python -m dyadic inspect CHOICES`: what of a network has an integer form, and what has none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import fx

from dyadic.commands.build import build
from dyadic.commands.run import composed
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.lower import NotLowered
from dyadic.integer.lowering.waiting import forms_of
from dyadic.integer.program.bounds import accumulator_bits
from dyadic.integer.rehearsal import Rehearsal
from dyadic.network.insert import is_quantizer
from dyadic.network.layers import module_of
from dyadic.network.reading.problems import Unreadable
from dyadic.run.pipeline import rehearse

MEANINGS = {
    "layer": "accumulators, one scale a channel",
    "image": "pixels, one scale a channel",
    "product": "products, one scale",
    "table": "a table of one code",
    "clamped": "limits of the next scale",
    "codes": "moves or joins codes",
}


def inspect(choices: Sequence[str]) -> tuple[bool, str]:
    """Whether a run with these choices has an integer form throughout, and the lines that say so.

    choices  as `run.py` takes them, such as model=own model.factory=mynet:Net

    Nothing is trained: the network is read, quantized, lowered, proved and run as it is.
    """
    cfg = composed(choices)
    run = build(cfg, Path(cfg.results_dir, "inspect"))
    try:
        rehearsal = rehearse(replace(run, deployment=run.deployment or Deployment()))
    except Unreadable as error:
        return False, _refused(error.read, [str(problem) for problem in error.problems])
    except NotLowered as error:
        return False, _refused([], error.problems)
    assert rehearsal is not None
    return True, "\n".join([*_lines(rehearsal.deployed.body), *_conclusion(rehearsal)])


def _lines(body: fx.GraphModule) -> list[str]:
    rows = [
        (
            str(node.target) if node.op == "call_module" else node.name,
            _kind(body, node),
            MEANINGS[form.kind],
        )
        for node, form in forms_of(body).items()
        if node.op in ("call_module", "call_function") and not is_quantizer(body, node)
    ]
    name, kind, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [f"{row[0]:<{name}}  {row[1]:<{kind}}  {row[2]}" for row in rows]


def _kind(body: fx.GraphModule, node: fx.Node) -> str:
    module = module_of(body, node)
    return (
        node.name.split("_")[0]
        if module is None
        else type(module).__name__.removeprefix("Parametrized")
    )


def _conclusion(rehearsal: Rehearsal) -> list[str]:
    bits, count = accumulator_bits(rehearsal.proof), len(rehearsal.proof.program.operations)
    apart = rehearsal.deployed.traced_difference
    return [
        "",
        f"everything has an integer form: {count} operations",
        f"graph and model are {apart:.1e} of the largest logit apart",
        f"accumulators of {max(bits.values())} bits at most; all engines and float64 agree",
    ]


def _refused(read: Sequence[str], problems: Sequence[str]) -> str:
    readable = [f"yes  {name}" for name in read]
    return "\n".join([*readable, *(f"NO   {problem}" for problem in problems)])
