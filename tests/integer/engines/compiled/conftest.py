"""Sources with power-of-two weights, exported once."""

from pathlib import Path

import numpy as np
import pytest
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import export_c
from dyadic.integer.program.operations import Program


@pytest.fixture(scope="session")
def power_of_two() -> Program:
    """ResNet-20 with weights of three bits, -3 to 3, of which 3 is no power of two, made 4."""
    program = resnet20(bits=3, size=12)
    for operation in program.operations:
        weights = getattr(operation, "weights", None)
        if weights is not None:
            weights.levels[:] = np.array([-4, -2, -1, 0, 1, 2, 4])
    return program


@pytest.fixture(scope="session")
def exported(tmp_path_factory, power_of_two) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    export_c(power_of_two, directory)
    return directory
