"""The compiled engine (C) and the C99 sources that a user takes away."""

from dyadic.integer.engines.compiled.build import CompilerNotFound
from dyadic.integer.engines.compiled.engine import CompiledEngine
from dyadic.integer.engines.compiled.export import export_c
from dyadic.integer.engines.compiled.sets import available_paths

__all__ = ["CompiledEngine", "CompilerNotFound", "available_paths", "export_c"]
