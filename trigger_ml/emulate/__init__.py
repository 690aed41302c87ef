"""The exact emulator of a bundle over files of events of any size: ``run.emulate`` is the whole of it."""
