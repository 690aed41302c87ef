"""``python -m trigger_ml.fuzz --engine hls4ml``: many graphs on one engine, to the first differing event."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trigger_ml.errors import TriggerError
from trigger_ml.fuzz.playing import play
from trigger_ml.spec import Target

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play many random graphs on one engine; 1 if any differs, or if more than one in ten is refused."""
    parser = argparse.ArgumentParser(prog="python -m trigger_ml.fuzz", description=main.__doc__)
    parser.add_argument("--engine", default="hls4ml", help="a backend")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=200, help="graphs")
    parser.add_argument("--size", type=int, default=10, help="operations drawn for a graph")
    parser.add_argument("--events", type=int, default=2000, help="events for each graph")
    parser.add_argument(
        "--strategy", default="latency", choices=("latency", "distributed_arithmetic"), help="of hls4ml"
    )
    parser.add_argument("--io-type", default="io_parallel", choices=("io_parallel", "io_stream"), help="of hls4ml")
    parser.add_argument("--hls-backend", default="Vitis", choices=("Vitis", "Vivado"), help="of hls4ml")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    target = Target(strategy=options.strategy, hls_backend=options.hls_backend, io_type=options.io_type)
    refused = failed = played = 0
    for seed in range(options.first, options.first + options.count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                refusal = play(options.engine, seed, options.size, options.events, Path(folder) / "project", target)
            except Exception as error:  # whatever an engine does with a legal graph but refuse it is a failure
                log.error("seed %d FAILED: %s", seed, error, exc_info=not isinstance(error, TriggerError))
                failed, refusal = failed + 1, None
        played += 1
        if refusal:
            refused += 1
            log.info("seed %d refused: %s", seed, refusal)
        if failed >= options.failures:
            break
    log.info(
        "%s: %d graphs from seed %d, %d events each: %d failed, %d refused",
        options.engine, played, options.first, options.events, failed, refused,
    )  # fmt: skip
    return int(failed > 0 or 10 * refused > played)


if __name__ == "__main__":
    sys.exit(main())
