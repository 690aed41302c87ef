"""The errors a user can meet. Each carries one sentence: what is wrong, where, and what to do.

The command line prints the sentence and leaves with the error's exit code:

=====  =====================================================
code   meaning
=====  =====================================================
0      done, and the verdict is PASS
1      two engines differ (``Mismatch``)
2      over budget, or short of another requirement of the spec (``OverBudget``)
3      bad input: a spec, sample, graph or artifact
4      an external program or package is missing, or it failed
5      the graph asks an engine for something it can't realise
=====  =====================================================
"""

from __future__ import annotations


class TriggerError(Exception):
    """A failure that its user can act on."""

    exit_code = 3


class SpecError(TriggerError):
    """A spec file is malformed, or asks for something that doesn't exist."""


class SampleError(TriggerError):
    """A sample file is missing, truncated, malformed or out of range."""


class GraphError(TriggerError):
    """An integer graph is not well formed."""


class ArtifactError(TriggerError):
    """An artifact of an earlier step is missing, damaged or of an unknown version."""


class ImportRefused(TriggerError):
    """A model to be imported is malformed, or holds something that can't be read exactly; the sentence names it."""


class ToolMissing(TriggerError):
    """An external program or an optional package is not installed."""

    exit_code = 4


class ToolFailed(TriggerError):
    """An external program ran and failed, or took too long."""

    exit_code = 4


class Unsupported(TriggerError):
    """An engine can't realise this graph exactly; raised before any file is written."""

    exit_code = 5


class Mismatch(TriggerError):
    """An engine gives other bits than the golden interpreter."""

    exit_code = 1


class OverBudget(TriggerError):
    """A quantity exceeds the budget of the spec, or falls short of what it requires."""

    exit_code = 2
