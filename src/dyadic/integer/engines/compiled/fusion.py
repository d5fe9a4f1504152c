"""Which operations run in one pass: a layer, the residual addition after it, its rescalings.

conv -> Add (with a tensor that exists by then) -> Requantize: the sum and its codes are made while
the accumulators are in registers. An operation joins only if nothing else reads what it replaces.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

from dyadic.integer.program.operations import Add, Linear, Normalize, Operation, Program, Requantize

Readers = dict[str, list[Operation]]


@dataclass(frozen=True)
class Group:
    """Operations that run as one step.

    add         residual addition of `residual` to the layer's codes
    requantize  rescalings of the layer's codes, or of the sum
    stored      whether somebody else reads the codes (or the sum) themselves
    """

    operation: Operation
    add: Add | None = None
    residual: str = ""
    requantize: tuple[Requantize, ...] = ()
    stored: bool = True

    @property
    def made(self) -> str:
        """The codes that the layer, or the addition, makes."""
        return self.add.name if self.add else self.operation.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that the step writes."""
        made = (self.made,) if self.stored else ()
        return made + tuple(operation.name for operation in self.requantize)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that the step reads; a normalization reads the caller's pixels."""
        if isinstance(self.operation, Normalize):
            return ()
        return self.operation.inputs + ((self.residual,) if self.add else ())


def single(program: Program) -> tuple[Group, ...]:
    """Every operation on its own: every tensor is stored."""
    return tuple(Group(operation) for operation in program.operations)


def fuse(program: Program, hosts: set[str], most: int) -> tuple[Group, ...]:
    """Groups around the layers named in `hosts`, with at most `most` outputs each."""
    readers: Readers = defaultdict(list)
    for operation in program.operations:
        for name in operation.inputs:
            readers[name].append(operation)
    named = {operation.name: operation for operation in program.operations}
    logits = program.operations[-1].name
    groups: list[Group] = []
    made = {"input"}
    for operation in program.operations:
        if operation.name in made:
            continue
        group = Group(operation)
        if isinstance(operation, Linear) and operation.name in hosts:
            group = _with_add(group, readers, logits)
            if not _ready(group, named, made):
                group = Group(operation)
            elif group.add and group.residual not in made:
                groups.append(Group(named[group.residual]))
            group = _with_requantize(group, readers, logits, most)
        made.update((operation.name, *group.inputs, group.made))
        made.update(rescaling.name for rescaling in group.requantize)
        groups.append(group)
    return tuple(groups)


def _with_add(group: Group, readers: Readers, logits: str) -> Group:
    """The layer with the addition that alone reads it."""
    name = group.operation.name
    if len(readers[name]) != 1 or name == logits or not isinstance(readers[name][0], Add):
        return group
    add = readers[name][0]
    others = [other for other in add.inputs if other != name]
    return replace(group, add=add, residual=others[0]) if len(others) == 1 else group


def _ready(group: Group, named: dict[str, Operation], made: set[str]) -> bool:
    """Whether the residual exists, or is a rescaling that can be done right before."""
    residual = named.get(group.residual)
    early = isinstance(residual, Requantize) and residual.inputs[0] in made
    return group.residual in made or early or group.add is None


def _with_requantize(group: Group, readers: Readers, logits: str, most: int) -> Group:
    """As many rescalings of the codes as there are outputs left."""
    reading = readers[group.made]
    rescalings = [r for r in reading if isinstance(r, Requantize)]
    chosen = tuple(rescalings[: most - 1])
    if len(rescalings) == most and len(reading) == most and group.made != logits:
        chosen = tuple(rescalings)
    stored = group.made == logits or len(chosen) < len(reading) or not chosen
    return replace(group, requantize=chosen, stored=stored)
