"""Names that a `config.yaml` of an earlier version holds, and where they are now."""

MOVED = {
    "dyadic.allocation.sensitivity": "dyadic.allocation.sensitivity.sensitivity",
    "dyadic.integer.deploy": "dyadic.integer.lowering.deploy",
    "dyadic.schedules.blend.cosine": "dyadic.schedules.blend.slow_ends",
    "dyadic.schedules.fold": "dyadic.schedules.freeze_then_fold",
    "dyadic.schedules.none": "dyadic.schedules.post_training",
    "dyadic.sweep": "dyadic.commands.run",
    "dyadic.training.fit": "dyadic.training.hardware",
}
"""Modules and names that a configuration has used in a `_target_`, then and now."""


def today(target: str) -> str:
    """A `_target_` by the name that it has today.

    >>> today("dyadic.schedules.none.PostTraining")
    'dyadic.schedules.post_training.PostTraining'
    >>> today("dyadic.schedules.two_step.TwoStep")
    'dyadic.schedules.two_step.TwoStep'
    """
    if target in MOVED:
        return MOVED[target]
    module, _, name = target.rpartition(".")
    return f"{MOVED.get(module, module)}.{name}" if module else target
