"""Generating, compiling and calling the C++ emulator."""
