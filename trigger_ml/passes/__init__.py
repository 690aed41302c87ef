"""Functions from graph to graph that keep the meaning, or add to it."""
