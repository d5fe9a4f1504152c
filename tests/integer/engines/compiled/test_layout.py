"""The memory plan: tensors that live at the same time never overlap; memory is shared over time."""

from itertools import combinations

from hypothesis import given, settings
from tests.integer.random_programs import programs
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled.fusion import fuse, single
from dyadic.integer.engines.compiled.layout import Layout, plan
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.operations import Add, Linear, Program, Requantize


def lifetimes(groups, layout: Layout) -> dict[str, tuple[int, int]]:
    """First and last step that touches each root, from the groups alone."""
    lives: dict[str, tuple[int, int]] = {}
    for index, group in enumerate(groups):
        for name in (*group.inputs, *group.outputs):
            root = layout.slots[name].root
            lives[root] = (lives.get(root, (index,))[0], index)
    return lives


def layers(program: Program) -> set[str]:
    return {operation.name for operation in program.operations if isinstance(operation, Linear)}


@given(programs())
@settings(max_examples=60, deadline=None)
def test_tensors_that_live_together_are_apart(program):
    proof = prove(program)
    for groups in (single(program), fuse(program, layers(program), 3)):
        borders = {name: (1, 2) for name in proof.shapes if len(proof.shapes[name]) == 3}
        layout = plan(groups, proof, borders, share=True)
        lives = lifetimes(groups, layout)
        for one, other in combinations(lives, 2):
            if lives[one][0] <= lives[other][1] and lives[other][0] <= lives[one][1]:
                a, b = layout.slots[one], layout.slots[other]
                assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
        assert all(slot.offset + slot.size <= layout.arena for slot in layout.slots.values())


def test_a_deep_network_needs_little_more_than_its_widest_step():
    program = resnet20()
    proof = prove(program)
    shared = plan(single(program), proof, {}, share=True).arena
    apart = plan(single(program), proof, {}, share=False).arena
    assert shared < apart / 6


@given(programs())
@settings(max_examples=60, deadline=None)
def test_fusing_keeps_every_operation_once(program):
    groups = fuse(program, layers(program), 3)
    made = [
        operation.name
        for group in groups
        for operation in (group.operation, group.add, *group.requantize)
        if operation is not None
    ]
    assert sorted(made) == sorted(operation.name for operation in program.operations)
    known = {"input"}
    for group in groups:
        assert set(group.inputs) <= known
        known.update(group.outputs)
    assert program.operations[-1].name in known


def test_a_residual_block_becomes_one_step_a_layer():
    program = resnet20()
    groups = fuse(program, layers(program), 3)
    additions = [group for group in groups if group.add is not None]
    assert len(additions) == sum(isinstance(x, Add) for x in program.operations)
    assert all(not group.stored for group in additions)
    assert not any(isinstance(group.operation, Add) for group in groups)
    alone = [group for group in groups if isinstance(group.operation, Requantize)]
    assert all(group.operation.name.endswith((".side", "mean")) for group in alone)
