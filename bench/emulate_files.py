"""10,000,000 events through ``emulate`` from ROOT and from HDF5: memory, rate, and the same bytes whoever did the work.

Writes the events (L1 NanoAOD with objects of several crossings, unsorted; the layout of our samples), runs
`trigger-ml emulate` on each with one process, then with two Dask workers of which one is killed in the middle, and
prints as JSON: events a second, the peak resident memory of the largest process and of all processes together, and
whether the outputs are byte-identical. Exits with 1 if they are not, or if one process needs 500 MB or more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trigger_ml.samples import l1_objects
from trigger_ml.samples.features import FEATURES, KINDS

BLOCK = 250_000
LIMIT_MB = 500.0
COLLECTIONS = {"met": "L1EtSum", "eg": "L1EG", "mu": "L1Mu", "jet": "L1Jet"}


def blocks(events: int) -> Iterator[np.ndarray]:
    """The committed zero-bias events again and again, turned in phi each time by another angle."""
    x = l1_objects.load("zero_bias").background
    pool = np.concatenate([x.train, x.validation, x.test])
    for n, start in enumerate(range(0, events, BLOCK)):
        rows = pool[np.arange(start, min(start + BLOCK, events)) % len(pool)].astype(np.int64)
        for kind in KINDS:
            for slot in range(kind.slots):
                pt = _column(kind.name, slot)
                turn = n * (kind.phi_steps // 144)
                rows[:, pt + 2] = np.where(rows[:, pt] > 0, (rows[:, pt + 2] + turn) % kind.phi_steps, 0)
        yield rows.astype(np.int16)


def _column(kind: str, slot: int) -> int:
    return next(i for i, f in enumerate(FEATURES) if (f.kind, f.slot, f.quantity) == (kind, slot, "pt"))


def write_hdf5(path: Path, events: int) -> None:
    """One process in our layout, chunks of one column of 250,000 events."""
    import h5py

    from trigger_ml.samples import layout

    with h5py.File(path, "w") as file:
        file.attrs.update({"layout": layout.LAYOUT, "version": layout.VERSION, "variant": "zero_bias"})
        shape = (events, len(FEATURES))
        data = file.create_dataset(
            "background/train", shape, np.int16, chunks=(min(BLOCK, events), 1), compression="gzip", compression_opts=1
        )
        for part in ("validation", "test"):
            file.create_dataset(f"background/{part}", (0, len(FEATURES)), np.int16)
        start = 0
        for x in blocks(events):
            data[start : start + len(x)] = x
            start += len(x)


def write_root(path: Path, events: int) -> None:
    """L1 NanoAOD: the same objects, in a random order, with others of the crossings before and after."""
    import awkward as ak
    import uproot

    rng = np.random.default_rng(1)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree, start = None, 0
        for x in blocks(events):
            branches: dict[str, Any] = {COLLECTIONS[k.name]: ak.zip(_objects(x, k, rng)) for k in KINDS}
            number = np.arange(start, start + len(x))
            branches |= {
                "run": np.full(len(x), 380_000, np.uint32),
                "luminosityBlock": (number // 50_000).astype(np.uint32),
                "event": number.astype(np.uint64),
            }
            if tree is None:
                tree = file.mktree(
                    "Events", {n: b.type.content if hasattr(b, "type") else b.dtype for n, b in branches.items()}
                )
            tree.extend(branches)
            start += len(x)


def _objects(x: np.ndarray, kind: Any, rng: np.random.Generator) -> dict[str, Any]:
    """The jagged branches of one kind of object."""
    import awkward as ak

    columns = np.array([_column(kind.name, slot) for slot in range(kind.slots)])
    own = np.stack([x[:, columns + i] for i in range(3)], -1)
    other = own[rng.permutation(len(x))][:, : max(kind.slots // 2, 1)]
    both = np.concatenate([own, other], axis=1)
    bx = np.concatenate([np.zeros(own.shape[:2]), rng.choice([-1, 1], other.shape[:2])], axis=1)
    order = rng.permuted(np.broadcast_to(np.arange(both.shape[1]), both.shape[:2]), axis=1)
    both, bx = np.take_along_axis(both, order[..., None], 1), np.take_along_axis(bx, order, 1)
    there = both[..., 0] > 0
    counts, flat = there.sum(axis=1), both[there].astype(np.int16)
    pt = flat[:, 0] + (kind.name == "mu")
    found = {"hwPt": pt.astype(np.int16), "bx": bx[there].astype(np.int16)}
    at = "AtVtx" if kind.name == "mu" else ""
    if kind.name == "met":
        found["etSumType"] = np.full(len(flat), 2, np.int16)
    else:
        found[f"hwEta{at}"] = flat[:, 1]
    found[f"hwPhi{at}"] = flat[:, 2]
    return {name: ak.unflatten(values, counts) for name, values in found.items()}


class Watch(threading.Thread):
    """Samples the resident memory of a process and its children, and kills one Dask worker when told to."""

    def __init__(self, pid: int, parts: Path, kill_at: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.parts, self.kill_at = pid, parts, kill_at
        self.largest = self.total = self.killed = 0

    def run(self) -> None:
        """Until the process has ended."""
        while True:
            tree = _tree(self.pid)
            if not tree:
                return
            resident = [_resident(pid) for pid in tree]
            self.largest, self.total = max(self.largest, *resident), max(self.total, sum(resident))
            if self.kill_at and not self.killed and len(list(self.parts.glob("*/*.npz"))) >= self.kill_at:
                workers = [pid for pid in tree if b"spawn_main" in _command(pid) and _parent(pid) == self.pid]
                if workers:
                    self.killed = workers[-1]
                    os.kill(self.killed, signal.SIGKILL)
            time.sleep(0.05)


def _tree(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [c for task in tasks for c in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(p for c in children for p in _tree(int(c)))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def measured(bundle: Path, source: Path, to: Path, workers: int, kill_at: int) -> dict[str, Any]:
    """One run of the command line."""
    argv = [sys.executable, "-m", "trigger_ml", "emulate", str(bundle), str(source), "--to", str(to), "--json"]
    parts = to.with_name(f"{to.name}.parts")
    to.unlink(missing_ok=True)
    shutil.rmtree(parts, ignore_errors=True)
    process = subprocess.Popen([*argv, "--workers", str(workers)], stdout=subprocess.PIPE)
    watch = Watch(process.pid, parts, kill_at)
    watch.start()
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    found = json.loads(out)
    return {
        "file": source.name,
        "workers": workers,
        "worker_killed": bool(watch.killed),
        "events": found["events"],
        "accepted": found["accepted"],
        "seconds": round(found["seconds"], 1),
        "events_per_s": round(found["events_per_s"]),
        "peak_mb_largest_process": round(watch.largest / 1e6),
        "peak_mb_all_processes": round(watch.total / 1e6),
    }


def main() -> int:
    """Print the rows as JSON; 0 if the bytes and the memory are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, default=Path("hls_projects/emulate_files"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rows, same, verdict = [], {}, True
    for name, write in (("events.root", write_root), ("events.h5", write_hdf5)):
        source = asked.out / name
        write(source, asked.events)
        outputs = [asked.out / f"{source.suffix[1:]}_{kind}.parquet" for kind in ("one", "two")]
        rows.append(measured(asked.bundle, source, outputs[0], 1, 0))
        rows.append(measured(asked.bundle, source, outputs[1], 2, max(asked.events // BLOCK // 3, 1)))
        same[name] = outputs[0].read_bytes() == outputs[1].read_bytes()
        verdict &= same[name] and rows[-1]["worker_killed"] and rows[-2]["peak_mb_all_processes"] < LIMIT_MB
    sys.stdout.write(json.dumps({"rows": rows, "byte_identical": same, "pass": verdict}, indent=1) + "\n")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
