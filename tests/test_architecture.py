"""The rooms keep their walls: who imports whom, one home for each heavy library, short files that say what they are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Who may be imported by a room, besides itself. Tests may import everything.
MAY_IMPORT = {
    "models": set(),
    "stores": {"models"},
    "features": {"stores", "models"},
    "training": {"stores", "models"},
    "inference": {"stores", "models"},
    "flows": {"features", "training", "inference", "stores", "models"},
    "benchmarks": {"flows", "features", "training", "inference", "stores", "models"},
}
HOMES = {
    "av": {"stores/clip_files.py", "stores/clip_survey.py", "stores/clip_writer.py"},
    "datasets": {"benchmarks/loader_peers.py"},
    "diffusers": {"models/backbones/wan.py"},
    "great_expectations": {"features/checks.py", "features/check_suites.py"},
    "httpx": {"features/writers/chat.py"},
    "huggingface_hub": {"models/text_encoders/source.py"},
    "jinja2": {"features/check_report.py", "inference/report.py"},
    "lancedb": {"stores/feature_store.py"},
    "lightning": {"training/", "stores/model_registry/tracking.py"},
    "mlflow": {"stores/model_registry/"},
    "onnxruntime": {"features/masks.py"},
    "PIL": {
        "features/affine.py",
        "features/masks.py",
        "features/pictures.py",
        "features/raw.py",
        "features/sample_data.py",
        "inference/gallery.py",
        "stores/clip_pictures.py",
        "stores/clip_writer.py",
        "training/autoencoder_module.py",
        "training/previews.py",
    },
    "prefect": {"flows/"},
    "ruamel": {"flows/presets.py"},
    "safetensors": {"benchmarks/loader_peers.py", "models/weights.py"},
    "transformers": {
        "features/maskers/grounded_sam.py",
        "features/writers/causal_lm.py",
        "models/scorers/pretrained.py",
        "models/text_encoders/frozen.py",
    },
    "typer": {"flows/cli.py"},
    "webdataset": {"benchmarks/loader_peers.py"},
}
MODELS_USE = {"torch", "einops", "jaxtyping", "numpy", "pydantic", "safetensors", "models"}
LIGHT = {
    "import models.build": {"diffusers"},
    "import flows.params, flows.cli": {"prefect", "lightning", "mlflow", "great_expectations", "onnxruntime"},
    "import features.writers.build, features.maskers.build": {"httpx", "onnxruntime", "torch", "transformers"},
    "import models.scorers.build, features.edit_filter": {"transformers"},
    "import features.pairs, flows.stages": {"lightning", "great_expectations", "onnxruntime", "transformers"},
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


def python_files(*folders: str) -> list[str]:
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in paths]


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


@cache
def imports(file: str) -> frozenset[str]:
    """Dotted names of all that a file imports, wherever in it."""
    return frozenset(name for node in ast.walk(parsed(file)) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0 and node.module, "relative imports hide the room"
        yield node.module


def packages(file: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(file)}


ROOMS = python_files(*MAY_IMPORT)
EVERYTHING = [*ROOMS, *python_files("tests", "benchmarks", "bin")]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_whom_it_may(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    found = {(file, name) for file in python_files(room) for name in packages(file) & MAY_IMPORT.keys()}
    assert python_files(room)
    assert not sorted(pair for pair in found if pair[1] not in allowed)


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_has_one_home(library: str) -> None:
    users = {file for file in ROOMS if library in packages(file)}
    homes = HOMES[library]
    assert not sorted(file for file in users if not any(file.startswith(home) for home in homes))
    assert not sorted(home for home in homes if not any(file.startswith(home) for file in users)), "a home stands empty"


def test_models_use_a_closed_list_of_libraries() -> None:
    for file in python_files("models"):
        allowed = MODELS_USE | sys.stdlib_module_names
        late = ("diffusers", "huggingface_hub", "transformers")
        allowed = allowed | {library for library in late if file in HOMES[library]}
        assert not sorted(packages(file) - allowed), file


def test_annotations_of_models_can_be_executed() -> None:
    assert not [file for file in python_files("models") if "__future__" in packages(file)]


def test_lightning_is_imported_late_outside_its_home() -> None:
    body = parsed("stores/model_registry/tracking.py").body
    assert not [name for node in body for name in _names(node) if name.startswith("lightning")]


@pytest.mark.parametrize("file", EVERYTHING)
def test_files_are_short_and_say_what_they_are(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    tree = parsed(file)
    assert ast.get_docstring(tree), "no module docstring"
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@pytest.mark.parametrize("statement", LIGHT)
def test_heavy_imports_stay_out(statement: str) -> None:
    told = f"import sys\n{statement}\nprint(' '.join(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not sorted(LIGHT[statement] & set(done.stdout.split()))
