"""The compiled engine (C) and the C99 sources that a user takes away."""

from dyadic.integer.engines.compiled.build import CompilerNotFound
from dyadic.integer.engines.compiled.engine import CompiledEngine, available_paths
from dyadic.integer.engines.compiled.export import export_c

__all__ = ["CompiledEngine", "CompilerNotFound", "available_paths", "export_c"]
