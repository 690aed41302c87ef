"""What a step was made from: digests that say whether it has to run again.

A step's stamp is ``<run folder>/stamps/<step>.json``: the digests of all that went in and of all that came out. It is
written last, so a step that was killed has no stamp. Time, machine and tool versions never enter. Of a folder it counts
the files that the step wrote; what is put beside them makes nothing stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from trigger_ml.artifact import digest_files, digest_json, digest_path, names_of, read_json, write_json
from trigger_ml.errors import ArtifactError


def stamp(folder: Path, step: str, inputs: Mapping[str, str], outputs: Iterable[str]) -> dict[str, str]:
    """Record that ``step`` is done; return the digests of its outputs.

    Args:
        folder: the run folder.
        step: e.g. ``train``.
        inputs: name -> digest of everything the step depends on: sections of the spec, outputs of earlier steps.
        outputs: files and folders that the step wrote, relative to ``folder``.

    Raises:
        ArtifactError: if an output is missing.
    """
    names = list(outputs)
    files = {name: digest_files(folder / name) for name in names if (folder / name).is_dir()}
    made = {name: digest_json(files[name]) if name in files else digest_path(folder / name) for name in names}
    write_json(_path(folder, step), {"inputs": dict(inputs), "outputs": made, "files": files})
    return made


def why_stale(folder: Path, step: str, inputs: Mapping[str, str]) -> str | None:
    """Why ``step`` must run (again), in a few words; None if what it would make is already there, unchanged."""
    try:
        recorded = read_json(_path(folder, step))
        before, made = dict(recorded["inputs"]), dict(recorded["outputs"])
        files = {name: list(wrote) for name, wrote in dict(recorded.get("files", {})).items()}
    except (ArtifactError, KeyError, TypeError, ValueError):
        return "not done yet"
    changed = sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name))
    if changed:
        return f"{', '.join(changed)} changed"
    for name, digest in made.items():
        try:
            if _digest(folder / name, files.get(name)) != digest:
                return f"{name} was edited"
        except ArtifactError:
            return f"{name} is missing or damaged"
    return None


def _digest(path: Path, wrote: Iterable[str] | None) -> str:
    """Of a file, or of those files of a folder that a step wrote."""
    if wrote is None:
        return digest_path(path)
    return digest_json({name: digest_path(path / name) for name in wrote})


def files_of(folder: Path, step: str, output: str) -> dict[str, str]:
    """Digest of each file that a step wrote into an output folder, by relative name; empty without a stamp."""
    try:
        return dict(read_json(_path(folder, step))["files"][output])
    except (ArtifactError, KeyError, TypeError, ValueError):
        return {}


def foreign(folder: Path, step: str, output: str) -> list[str]:
    """Files in an output folder that the step did not write as they are now: put there, or edited.

    A folder as a whole is the step's if its stamp says so, whatever wrote the stamp.
    """
    there = folder / output
    if not there.is_dir():
        return []
    wrote, now = files_of(folder, step, output), names_of(there)
    if not wrote and _whole(there) == (_recorded(folder, step, output) or ""):
        return []
    return [name for name in now if name not in wrote or _held(there / name) != wrote[name]]


def _held(path: Path) -> str | None:
    """A file's digest; None if it is damaged, as no step leaves it."""
    try:
        return digest_path(path)
    except ArtifactError:
        return None


def _whole(folder: Path) -> str | None:
    """Digest of all files of a folder; None if one is damaged."""
    try:
        return digest_json(digest_files(folder))
    except ArtifactError:
        return None


def _recorded(folder: Path, step: str, output: str) -> str | None:
    try:
        return outputs_of(folder, step).get(output)
    except ArtifactError:
        return None


def is_fresh(folder: Path, step: str, inputs: Mapping[str, str]) -> bool:
    """True if ``step`` ran to its end on exactly these inputs and its outputs are unchanged."""
    return why_stale(folder, step, inputs) is None


def outputs_of(folder: Path, step: str) -> dict[str, str]:
    """Output name -> digest as ``step`` left them.

    Raises:
        ArtifactError: if the step isn't done.
    """
    path = _path(folder, step)
    try:
        return dict(read_json(path)["outputs"])
    except (ArtifactError, KeyError, TypeError, ValueError):
        raise ArtifactError(f"{folder} holds no finished {step}: run `trigger-ml {step}` first") from None


def _path(folder: Path, step: str) -> Path:
    return folder / "stamps" / f"{step}.json"
