"""A program as `dy_plan`, for an instruction set: what to run, where, and how."""

from math import prod

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.choose import Choice, Prices, choose
from dyadic.integer.engines.compiled.fusion import Group, fuse, single
from dyadic.integer.engines.compiled.layout import LINE, SLACK, plan
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.engines.compiled.steps import StepBuilder
from dyadic.integer.program.bounds import Proof


class Planned:
    """A `dy_plan`, and in `steps` all that it points to.

    path    name of an instruction set; this machine need not have it
    traced  whether every tensor of the program is stored and kept
    prices  of the parts of layers; the instruction set's own, if None
    """

    def __init__(
        self, proof: Proof, path: str, traced: bool = False, prices: Prices | None = None
    ) -> None:
        program = proof.program
        chosen = choose(program, proof, SETS[path], prices)
        choices = chosen.layers
        groups = single(program) if traced else fuse(program, set(choices), binding.C["DY_OUTPUTS"])
        borders = _borders(groups, choices)
        layout = plan(groups, proof, borders, share=not traced, types=chosen.types)
        self.steps = StepBuilder(layout, proof, choices, SETS[path])
        steps = self.steps.build(groups)
        slots = self.steps.slots()
        self.plan = binding.Plan(
            slot_count=len(slots),
            step_count=len(steps),
            slots=(binding.Slot * len(slots))(*slots),
            steps=(binding.Step * len(steps))(*steps),
            pixels=prod(program.input_shape),
            arena=layout.arena,
            slack=layout.slack,
            scratch=-(-(self.steps.scratch + SLACK) // LINE) * LINE,
        )


def _borders(groups: tuple[Group, ...], choices: dict[str, Choice]) -> dict[str, tuple[int, int]]:
    """The widest border that anybody reads of each tensor."""
    borders: dict[str, tuple[int, int]] = {}
    for group in groups:
        if group.operation.name in choices:
            source, border = group.operation.inputs[0], choices[group.operation.name].border
            have = borders.get(source, (0, 0))
            borders[source] = (max(have[0], border[0]), max(have[1], border[1]))
    return borders
