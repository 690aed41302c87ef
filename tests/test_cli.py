from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from trigger_ml import cli, errors

VERBS = ["run", "sample", "train", "convert", "build", "validate", "estimate", "report", "inspect"]


class Pipeline(types.ModuleType):
    """Stands in for the pipeline: every verb gives ``result`` or raises ``error``."""

    def __init__(self) -> None:
        super().__init__("trigger_ml.pipeline")
        self.calls: list[tuple[Any, ...]] = []
        self.result: dict[str, Any] = {"verdict": "PASS"}
        self.error: BaseException | None = None
        for verb in VERBS:
            setattr(self, verb, self._verb(verb))

    def _verb(self, verb: str) -> Any:
        def call(*arguments: Any) -> dict[str, Any]:
            self.calls.append((verb, *arguments))
            if self.error is not None:
                raise self.error
            return self.result

        return call


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    fake = Pipeline()
    monkeypatch.setitem(sys.modules, "trigger_ml.pipeline", fake)
    monkeypatch.setattr("trigger_ml.pipeline", fake, raising=False)
    return fake


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_calls_its_step(verb: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "models/a/spec.toml", "--out", "there"]) == 0
    called, path, _, out = pipeline.calls[0][:4]
    assert (called, path, out) == (verb, Path("models/a/spec.toml"), Path("there"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_the_only_thing_on_standard_output(
    verb: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([verb, "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == pipeline.result


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Mismatch("icarus differs at event 3"), 1),
        (errors.OverBudget("lut is 3100"), 2),
        (errors.SpecError("bad"), 3),
        (errors.SampleError("bad"), 3),
        (errors.GraphError("bad"), 3),
        (errors.ArtifactError("bad"), 3),
        (errors.ToolMissing("no g++"), 4),
        (errors.ToolFailed("g++ failed\nat line 3"), 4),
        (errors.Unsupported("wide table"), 5),
        (OSError(28, "No space left on device", "x.npz"), 3),
        (ZeroDivisionError("division by zero"), 70),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.error = error
    assert cli.main(["run", "x"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("trigger-ml: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


def test_the_traceback_is_there_on_request(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.error = errors.SpecError("bad")
    monkeypatch.setenv("TRIGGER_ML_DEBUG", "1")
    with pytest.raises(errors.SpecError, match="bad"):
        cli.main(["run", "x"])


@pytest.mark.parametrize(
    "argv",
    [
        ["rn"],
        ["run"],
        ["run", "a", "b"],
        ["run", "--fast", "a"],
        ["sample", "a", "--workers", "0"],
        ["--nope"],
        ["train", "a", "--out"],
    ],
)
def test_a_mistake_on_the_command_line_has_code_3(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("see trigger-ml --help\n")


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"]):
        assert cli.main(argv) == 0
        text = capsys.readouterr().out
        assert all(f"\n  {verb} " in text for verb in [*VERBS, "list", "doctor"])
        assert "..." not in text.partition("Commands:")[2]
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "trigger-ml 0.1.0\n"


def test_doctor_and_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"g++", "verilator", "hls4ml"}
    assert cli.main(["doctor"]) == 0
    assert "trigger_ml[" in capsys.readouterr().out.replace("\n", "")
    assert cli.main(["list", "--models", str(tmp_path)]) == 0
    assert "backends:   " in capsys.readouterr().out
    assert cli.main(["list", "--json"]) == 0
    assert "onnx" in json.loads(capsys.readouterr().out)["backends"]


@pytest.mark.parametrize("command", [["trigger-ml"], ["-m", "trigger_ml.cli"], ["-m", "trigger_ml"]])
def test_the_program_starts(command: list[str]) -> None:
    program = (
        [str(Path(sys.executable).with_name("trigger-ml"))] if command == ["trigger-ml"] else [sys.executable, *command]
    )
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "trigger-ml 0.1.0\n")
    done = subprocess.run([*program, "rn"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "Did you mean 'run'?" in done.stderr


def test_a_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from trigger_ml.cli_output import plain_table

    monkeypatch.delenv("COLUMNS", raising=False)
    plain_table([{"name": "a" * 90, "value": "b" * 90}])
    assert [line for line in capsys.readouterr().out.splitlines() if "a" * 90 in line and "b" * 90 in line]
