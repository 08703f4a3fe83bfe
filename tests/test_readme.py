"""The README and the documents name only what there is."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from flows.cli import app
from flows.presets import names
from flows.results import block, filled

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_make_command_of_the_readme_is_a_target() -> None:
    used = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    assert {"demo", "test", "up", "down", "preset"} <= used
    assert used <= make_targets()


def test_every_flag_of_the_readme_is_a_flag_of_the_command() -> None:
    edit = typer.main.get_command(app).commands["edit"]
    known = {option for parameter in edit.params for option in parameter.opts}
    section = README[README.index("`edit` takes") : README.index("A manifest is")]
    used = set(re.findall(r"`(--?[a-z-]+)", section))
    assert len(used) >= 7
    assert used <= known


def test_every_preset_of_the_readme_exists() -> None:
    table = README[README.index("| preset |") : README.index("## Bring your own data")]
    used = set(re.findall(r"`([a-z0-9-]+)`", table))
    assert used == set(names())


def test_every_file_and_folder_of_the_map_exists() -> None:
    section = README[README.index("| folder |") : README.index("## Edit your own")]
    named = set(re.findall(r"`([\w./-]+(?:/|\.\w+))`", section))
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]


def test_deployments_of_the_readme_are_deployed() -> None:
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    flows = {re.split("[.:]", row["entrypoint"])[-1].removesuffix("_flow") + "/" + row["name"] for row in deployed}
    used = set(re.findall(r"(?:deployment run|schedule resume) (\S+/\S+)", README))
    assert used and used <= flows


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


def test_the_results_block_is_filled_from_the_evaluation_and_nothing_else_changes() -> None:
    table = block(ROOT / "metrics" / "evaluation.json", "abc")
    rewritten = filled(README, table)
    assert "| `ceiling` |" in table
    assert table in rewritten
    assert filled(rewritten, "") == filled(README, "")
