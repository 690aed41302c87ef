"""``python -m trigger_ml`` is ``trigger-ml``."""

from __future__ import annotations

import sys

from trigger_ml.cli import main

if __name__ == "__main__":
    sys.exit(main())
