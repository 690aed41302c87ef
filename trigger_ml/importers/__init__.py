"""Models that people already have, as integer graphs: one file or folder here = one kind of model."""
