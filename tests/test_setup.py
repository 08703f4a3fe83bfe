"""The set-up files say what the project needs: pins, packages, environment, notices."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from flows.settings import ROOT, apply_environment, read_environment

ROOMS = ("models", "stores", "features", "training", "inference", "flows")
DATA = ROOT / "data"


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = (re.match(r"([\w.-]+)==(\S+)", line) for line in lines)
    return {m[1].lower().replace("_", "-").replace(".", "-"): Version(m[2]) for m in found if m}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_pins_that_repair_the_stack(pins: dict[str, Version]) -> None:
    assert Version("0.139") <= pins["fastapi"] < Version("0.151")
    assert pins["sqlalchemy"] < Version("2.1")
    assert pins["prefect"] == Version("3.8.8")
    assert str(pins["torch"]) == "2.13.0"


def test_no_pin_has_a_local_suffix_or_a_path(pins: dict[str, Version]) -> None:
    assert not [name for name, version in pins.items() if version.local]
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    assert not [line for line in lines if line and "==" not in line]


def test_every_dependency_is_pinned_inside_its_range(project: dict, pins: dict[str, Version]) -> None:
    extras = project["project"]["optional-dependencies"].values()
    for text in [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]:
        wanted = Requirement(text)
        version = pins[wanted.name.lower().replace(".", "-")]
        assert version in wanted.specifier, text


def test_the_packages_are_the_folders(project: dict) -> None:
    folders = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    assert set(project["tool"]["setuptools"]["packages"]) == {".".join(folder.parts) for folder in folders}


def test_nothing_calls_home() -> None:
    environment = read_environment()
    off = {
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    assert off.items() <= environment.items()
    dvc = (ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in dvc and "check_update = false" in dvc
    assert not tomllib.loads((ROOT / "prefect.toml").read_text())["server"]["analytics_enabled"]


def test_everything_written_stays_in_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "project.env").write_text((ROOT / "project.env").read_text())
    folders = [value for value in read_environment(tmp_path).values() if "/" in value]
    assert len(folders) > 8
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)


def test_the_process_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project.env").write_text("# why\nEDIT_SET=file\nEDIT_UNSET=${ROOT}/x\n")
    monkeypatch.setattr(os, "environ", {"EDIT_SET": "process"})
    apply_environment(tmp_path)
    assert os.environ == {"EDIT_SET": "process", "EDIT_UNSET": f"{tmp_path}/x"}


def test_outside_a_checkout_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        read_environment(tmp_path)


def test_the_shell_reads_the_same_environment() -> None:
    keys = read_environment()
    command = [ROOT / "bin" / "with-env", "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    clean = {"PATH": os.environ["PATH"], "DO_NOT_TRACK": "mine"}
    seen = json.loads(subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout)
    assert {key: seen[key] for key in keys} == keys | {"DO_NOT_TRACK": "mine"}


def test_the_notice_names_every_author_and_licence() -> None:
    notice = (DATA / "NOTICE.md").read_text()
    rows = pq.read_table(DATA / "photos" / "photos.parquet", columns=["author", "licence"]).to_pylist()
    rows += pq.read_table(DATA / "cutouts" / "cutouts.parquet", columns=["author", "licence"]).to_pylist()
    rows += [json.loads(line) for line in (DATA / "clips" / "metadata.jsonl").read_text().splitlines()]
    said = {row[key] for row in rows for key in ("author", "licence")}
    assert all(said)
    assert not [text for text in said if text not in notice]


def test_the_pictures_open_as_hugging_face_datasets_read_them() -> None:
    for name, columns in (("photos", {"image", "mask"}), ("cutouts", {"image"})):
        schema = pq.read_schema(DATA / name / f"{name}.parquet")
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        assert list(features) == schema.names
        assert {key for key, feature in features.items() if feature["_type"] == "Image"} == columns
