"""A tiny checkout: the project's own tree with little data and small numbers, in which its commands are really run."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.job import Job
from flows.presets import resolve
from flows.settings import ROOT, read_environment
from stores.feature_store import FeatureStore
from stores.model_registry.tracking import Tracking
from stores.state import State
from tests.world import raw_folder

ROOMS = ("models", "stores", "features", "training", "inference", "flows")
COPIED = (
    *ROOMS,
    "weights",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "prefect.toml",
    "prefect.yaml",
    "project.env",
    "receipts/pretrain.json",
)
PHOTOS = 24
CLIPS = ("bbb_00.mp4", "bbb_04.mp4", "bbb_38.mp4", "city_00.mp4", "earth_00.mp4")
SMALL = """
features:
  geometry: {resolution: 32, clip_frames: 8}
  pairs:
    one: {image_edit: 24, text_to_video: 6, validation_share: 0.2, shard: 12}
    two: {text_to_video: 4, validation_share: 0.25, shard: 8}
    three: {validation_share: 0.25, shard: 8}
  multi_frame:
    animated: {requests: 12, tasks: {add: 1, global: 2}, least_accepted: 4}
    segmentation: {clips: 6, masker: {least_confidence: 0.0, least_steadiness: 0.0, threads: 1}}
  backtranslated: {requests: 8, tasks: {add: 1, global: 1}, least_accepted: 2}
  filter:
    thresholds: {least_change_share: 0.0, least_change_inside: null, least_sharpness: null, most_colour_drift: null}
  cases: {pictures: 4, clips: 2, framewise_clips: 1}
training:
  trainer: {validate_every: 4, checkpoint_every: 2, preview_every: 4}
  stages:
    one:
      steps: 4
      groups:
        image_edit: {batch: 4}
        text_to_video: {batch: 2}
      optimizer: {warmup_steps: 2}
    two:
      steps: 4
      groups:
        text_to_video: {batch: 2}
        animated: {batch: 2}
        segmentation: {batch: 2}
      optimizer: {warmup_steps: 2}
    three:
      steps: 4
      groups:
        backtranslated: {batch: 2}
        animated: {batch: 2}
        segmentation: {batch: 2}
        text_to_video: {batch: 2}
      optimizer: {warmup_steps: 2}
  predictor: {steps: 10}
inference: {num_inference_steps: 2, resolution: 32, window_frames: 8, window_overlap: 2}
evaluation: {resamples: 20, sheet_rows: 6}
"""
CHAIN = ("-m", "flows.lifecycle")


@dataclass(frozen=True)
class Checkout:
    """A checkout in a temporary folder, and how to run things in it."""

    root: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the caller's own checkout, server or git identity comes through."""
        ours = ("PREFECT_", "MLFLOW_", "DVC_", "GIT_", "MOVIEGEN_")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        who = {f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        told = {"PATH": path, "PYTHONPATH": str(self.root), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        return {**inherited, **read_environment(self.root), **who, **told, **more}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; stderr is in stdout."""
        return subprocess.run(
            command, cwd=self.root, env=self.environment(**more), text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def job(self, *overrides: str, state: str = ".") -> Job:
        """For what is quicker, or told more exactly, in the test's own process."""
        data = f"data={self.root / 'data'}"
        return Job.open(self.root / "params.yaml", self.root / state, (data, *overrides))

    def chain(self, *told: str, **more: str) -> str:
        """Run `python -m flows.lifecycle` and return what it said."""
        return ended_well(self.run(sys.executable, *CHAIN, *told, **more))

    def dvc(self, *told: str) -> str:
        return ended_well(self.run(sys.executable, "-m", "dvc", *told))

    def repro(self, *told: str) -> set[str]:
        """Run `dvc repro` and return the stages that it ran."""
        return set(re.findall(r"Running stage '(.+?)'", self.dvc("repro", *told)))

    def git(self, *told: str) -> str:
        return ended_well(self.run("git", *told))

    def commit(self) -> None:
        """Everything that is not ignored."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def set(self, *overrides: tuple[str, object]) -> None:
        """Change values of params.yaml, by their path."""
        path = self.root / "params.yaml"
        values = yaml.safe_load(path.read_text())
        for key, value in overrides:
            *folders, last = key.split(".")
            place = values
            for folder in folders:
                place = place[folder]
            assert last in place
            place[last] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    def receipts(self, state: str = ".") -> dict[str, str]:
        """Receipts of the chain under a state root, by stage, byte for byte."""
        paths = sorted((self.root / state / "receipts").glob("*.json"))
        return {path.stem: path.read_text() for path in paths if path.stem != "pretrain"}


@dataclass(frozen=True)
class Made:
    """A checkout in which the whole chain has run plainly, and the receipts that every other way must equal."""

    checkout: Checkout
    receipts: dict[str, str]


def contents(state: State) -> dict[str, Any]:
    """What a state root holds: ids of every table, model versions, files for people."""
    client = Tracking(state).client
    tables = {}
    for path in sorted(state.store.glob("*/*.lance")):
        table = FeatureStore(state.store, path.parent.name)._db.open_table(path.stem)
        tables[f"{path.parent.name}/{path.stem}"] = sorted(table.search().select(["id"]).to_arrow()["id"].to_pylist())
    versions = sorted((v.name, v.version, v.tags["digest"]) for v in client.search_model_versions())
    files = sorted(str(path.relative_to(state.outputs)) for path in state.outputs.rglob("*") if path.is_file())
    return {"tables": tables, "models": versions, "files": files}


def ended_well(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said; an assertion that shows it if the command failed."""
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def tiny_checkout(root: Path) -> Checkout:
    """A git repository with the project's tree, a little real data and small parameters, committed."""
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    raw_folder(root / "data", photos=PHOTOS, clips=CLIPS)
    for name in ("cutouts", "pretrained"):
        shutil.copytree(ROOT / "data" / name, root / "data" / name)
    _copy_samples(root / "data" / "samples")
    (root / "params.yaml").write_text(resolve((ROOT / "params.yaml").read_text(), SMALL))
    checkout = Checkout(root)
    checkout.git("init", "--quiet")
    checkout.commit()
    return checkout


def _copy_samples(folder: Path) -> None:
    """The sample manifest without the rows whose clips are not here."""
    shutil.copytree(ROOT / "data" / "samples", folder)
    header, *rows = (folder / "manifest.csv").read_text().splitlines()
    kept = [row for row in rows if (folder / row.split(",")[1]).is_file()]
    assert kept
    (folder / "manifest.csv").write_text("\n".join([header, *kept]) + "\n")
