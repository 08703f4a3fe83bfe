"""The README and the documents name only what there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml

from flows.cli import app
from flows.params import Params, overridden
from flows.presets import names
from flows.results import block, filled
from inference.manifest import CLIP_COLUMNS, INSTRUCTION_COLUMNS, OTHER_COLUMNS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN = {"store", "mlflow", "outputs", "checkpoints", "var", ".prefect", ".venv", "mlruns"}  # by runs, not in git
CHAIN = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def section(title: str) -> str:
    """The README from a heading to the next."""
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def code(text: str) -> str:
    """What stands in code blocks and code spans, a line each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*blocks, *spans])


def options(command: str) -> set[str]:
    found = typer.main.get_command(app).commands[command]
    return {option for parameter in found.params for option in parameter.opts if option.startswith("-")}


def tree() -> Iterator[str]:
    """Paths of the annotated tree: names, two spaces, a clause; indented names lie in the folder above."""
    folder = ""
    for line in section("Map of rooms").split("```")[3].strip().splitlines():
        told = re.match(r"( *)(\S+(?: \S+)*)", line)
        assert told
        inside, listed = bool(told[1]), told[2].split()
        folder = folder if inside else listed[0]
        yield from ((folder + name) if inside else name for name in listed)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@each_document
def test_every_make_command_is_a_target(document: Path) -> None:
    assert set(re.findall(r"^make ([a-z-]+)", code(document.read_text()), flags=re.MULTILINE)) <= make_targets()


def test_the_readme_shows_the_main_path() -> None:
    used = set(re.findall(r"^make ([a-z-]+)", code(README), flags=re.MULTILINE))
    assert {"demo", "test", "up", "down", "preset"} <= used


def test_every_option_of_edit_and_batch_is_told_and_no_other() -> None:
    told = section("Edit your own")
    edit, batch = (re.search(rf"`{name}`\s+takes(.*?)[;.]", told, flags=re.DOTALL) for name in ("edit", "batch"))
    assert edit and batch
    assert set(re.findall(r"(?<=`)--?[a-z-]+", edit[1])) == options("edit")
    assert set(re.findall(r"(?<=`)--?[a-z-]+", batch[1])) == options("batch") - {"-o"}


@each_document
def test_every_command_of_moviegen_edit_exists(document: Path) -> None:
    used = set(re.findall(r"^moviegen-edit ([a-z]+)", code(document.read_text()), flags=re.MULTILINE))
    assert used <= set(typer.main.get_command(app).commands)


def test_every_column_of_a_manifest_is_told_and_no_other() -> None:
    told = section("Edit your own")
    told = told[told.index("A manifest is") : told.index("Relative paths")]
    assert set(re.findall(r"`([a-z_]+)`", told)) == {*CLIP_COLUMNS, *INSTRUCTION_COLUMNS, *OTHER_COLUMNS}


def test_every_preset_is_told_and_no_other() -> None:
    assert set(re.findall(r"^\| `([a-z0-9.-]+)` \| ", README.split("| preset |")[1], flags=re.MULTILINE)) == set(
        names()
    )


def test_every_block_of_the_parameters_is_told_and_no_other() -> None:
    table = README.split("| block of `params.yaml` |")[1].split("\n\n")[0]
    first = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`(\w+)`", first)) == set(Params.model_fields)


@each_document
def test_every_override_names_a_key(document: Path) -> None:
    """`-S key=value` of DVC, `--set`, and the overrides of deployments."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    told = re.findall(r'(?:-S |--set |\[")([a-z_.]+=[^\s"`]+)', code(document.read_text()))
    for override in told:
        Params.checked(overridden(values, override), override)


@each_document
def test_every_stage_that_a_command_names_exists(document: Path) -> None:
    told = code(document.read_text())
    used = set(re.findall(r"flows\.lifecycle ([a-z][a-z-]*)", told))
    for line in re.findall(r"dvc (?:commit --force|repro|repro -sf|unfreeze|freeze) ([a-z][a-z -]*)", told):
        used |= set(line.split())
    assert used <= set(CHAIN)


def test_every_file_and_folder_of_the_map_exists() -> None:
    named = list(tree())
    assert len(named) > 40
    assert not [name for name in named if not (ROOT / name).exists()]
    rooms = {"models/", "stores/", "features/", "training/", "inference/", "flows/"}
    assert rooms <= set(named)


@each_document
def test_every_source_file_that_is_named_exists(document: Path) -> None:
    """Paths in code spans that begin with a folder of the checkout, but for placeholders and what runs write."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - WRITTEN
    named = set(
        re.findall(
            r"(?<!\S)(\w+/[\w./-]+\.(?:py|md|yaml|json|parquet|jsonl|safetensors))(?!\S)", code(document.read_text())
        )
    )
    missing = {name for name in named if name.split("/")[0] in folders and not (ROOT / name).exists()}
    assert not missing


@each_document
def test_deployments_are_deployed(document: Path) -> None:
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    flows = {re.split("[.:]", row["entrypoint"])[-1].removesuffix("_flow") + "/" + row["name"] for row in deployed}
    told = document.read_text()
    assert set(re.findall(r"(?:deployment run|schedule (?:resume|pause)) (\S+/\S+)", told)) <= flows
    if document.name == "scheduling.md":
        assert flows == set(re.findall(r"^\| `(\w+/\w+)` \|", told, flags=re.MULTILINE))


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    assert not [link for link in links if "://" not in link and not (document.parent / link).exists()]


def test_the_readme_leads_to_every_document() -> None:
    leads = set(re.findall(r"\]\(([^)#]+)\)", README))
    pages = {str(path.relative_to(ROOT)) for path in DOCUMENTS if path.parent.name == "docs"}
    assert pages | {"docs/decisions"} <= leads


@each_document
def test_no_path_of_a_machine(document: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|home|root|tmp|Users|mnt|opt)/\S*", document.read_text())


def test_the_results_block_is_filled_from_the_evaluation_and_nothing_else_changes() -> None:
    table = block(ROOT / "metrics" / "evaluation.json", "abc")
    rewritten = filled(README, table)
    assert "| `ceiling` |" in table
    assert table in rewritten
    assert filled(rewritten, "") == filled(README, "")
