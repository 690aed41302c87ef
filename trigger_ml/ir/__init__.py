"""The integer graph: what a model is. ``docs/ir.md`` is the normative page."""
