"""A trigger-inference toolchain: one integer graph, many engines, one gate."""

__version__ = "0.1.0"
