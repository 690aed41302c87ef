"""Trees as projects of conifer: what it is told, and how it is run."""
