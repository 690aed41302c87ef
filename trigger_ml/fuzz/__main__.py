"""``python -m trigger_ml.fuzz --engine hls4ml``: many graphs on one engine, to the first differing event."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trigger_ml import plugins
from trigger_ml.errors import TriggerError
from trigger_ml.fuzz.playing import play
from trigger_ml.spec import Target

log = logging.getLogger(__name__)

OF_HLS4ML = ("strategy", "io_type", "hls_backend")
"""Options that only hls4ml has."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play many random graphs on one engine; 1 if any differs, or if more than one in ten is refused."""
    parser = argparse.ArgumentParser(prog="python -m trigger_ml.fuzz", description=main.__doc__)
    parser.add_argument("--engine", default="hls4ml", help="a backend")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=200, help="graphs")
    parser.add_argument("--size", type=int, default=10, help="operations drawn for a graph")
    parser.add_argument("--events", type=int, default=2000, help="events for each graph")
    parser.add_argument("--strategy", choices=("latency", "distributed_arithmetic"), help="of hls4ml")
    parser.add_argument("--io-type", choices=("io_parallel", "io_stream"), help="of hls4ml")
    parser.add_argument("--hls-backend", choices=("Vitis", "Vivado"), help="of hls4ml")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    options = parser.parse_args(arguments)
    chosen = _chosen(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    target = Target(**chosen)
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


def _chosen(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Any]:
    """What is asked of hls4ml; all that would play nothing, or not what was asked, ends here with a usage error."""
    for name in ("count", "events", "failures"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}: give at least 1")
    try:
        plugins.find("backends", options.engine)
    except TriggerError as error:
        parser.error(f"--engine: {error}")
    chosen = {name: getattr(options, name) for name in OF_HLS4ML if getattr(options, name) is not None}
    if chosen and options.engine != "hls4ml":
        names = ", ".join("--" + name.replace("_", "-") for name in chosen)
        parser.error(f"{names}: only hls4ml has it, not {options.engine}: take it out")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
