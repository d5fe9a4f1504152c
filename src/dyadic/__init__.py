"""CNN arithmetic as shifts and integers: the papers of quantization, side by side."""

__version__ = "0.1.0"
