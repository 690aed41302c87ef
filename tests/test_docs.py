"""The pages say what is true: specs in them are read, commands in them exist, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trigger_ml import cli, plugins, spec

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "hls_projects" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
VERBS = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
VERBS |= {group.name for group in cli.app.registered_groups}


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def test_every_spec_on_a_page_is_read() -> None:
    blocks = [block for page in (ROOT / "README.md", ROOT / "docs" / "guide.md") for block in _blocks(page, "toml")]
    assert blocks
    for block in blocks:
        spec.parse(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_links_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    assert set(re.findall(r"(?m)^trigger-ml ([a-z]+)", text)) <= VERBS
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page} links to {target}"


def test_the_makefile_has_every_target_that_the_readme_names() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    assert set(re.findall(r"(?m)^make ([a-z]+)", (ROOT / "README.md").read_text("utf-8"))) <= targets


def test_the_guide_names_each_kinds_function() -> None:
    text = (ROOT / "docs" / "guide.md").read_text("utf-8")
    for kind, function in plugins.KINDS.items():
        assert re.search(rf"`trigger_ml/{kind}/` \|.*`{function}`", text)


def test_every_model_has_a_spec_and_a_card() -> None:
    for folder in sorted(path for path in (ROOT / "models").glob("*") if path.is_dir() and path.name != "offline"):
        assert spec.load(folder / "spec.toml").name == folder.name
        assert (folder / "card.md").read_text("utf-8").strip()
