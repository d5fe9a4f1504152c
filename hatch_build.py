"""Puts the C engine's libraries into a wheel, where DYADIC_BUILD is set (cibuildwheel's is).

A library for every instruction set of the machine that builds, so that none needs a compiler where
it is installed. Such a wheel is for that platform and for any Python. Without DYADIC_BUILD a wheel
is for any platform, and a machine compiles the engine when it first needs it.
"""

import os
import platform
import runpy
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "DYADIC_BUILD"
COMPILED = "integer/engines/compiled"


class Libraries(BuildHookInterface):
    """Compiles the engine's sources for the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the libraries and the platform's tag to the wheel."""
        if not os.environ.get(VARIABLE) or version == "editable":
            return
        folder = Path(self.root, "src/dyadic", COMPILED)
        sets = runpy.run_path(str(folder / "sets.py"))  # dyadic itself needs what is not here
        sources = map(str, sorted((folder / "c").glob("*.c")))
        command = [os.environ.get("CC", "cc"), *sets["FLAGS"], *sources]
        self.made = tempfile.TemporaryDirectory()
        for name, path in sets["SETS"].items():
            if platform.machine() in path.machines or not path.machines:
                library = Path(self.made.name, f"{name}.so")
                subprocess.run([*command, *path.flags, "-o", str(library)], check=True)
                build_data["force_include"][str(library)] = f"dyadic/{COMPILED}/lib/{name}.so"
        build_data["pure_python"] = False
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{tag}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built beside."""
        if hasattr(self, "made"):
            self.made.cleanup()
