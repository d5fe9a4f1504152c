"""The program as calls into CMSIS-NN, for Cortex-M."""

from dyadic.integer.engines.compiled.cmsis.export import export_cmsis

__all__ = ["export_cmsis"]
