"""A training that was killed and run again ends where an uninterrupted one ends, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
import torch

from stores.receipts import Receipt
from tests.training import runs
from tests.world import ROOT, World
from training.trainer import checkpoints, newest_readable

STEPS = 12


def _steps_of(paths: list) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in paths]


@pytest.fixture(scope="module")
def whole(world: World) -> tuple[Receipt, dict[str, torch.Tensor]]:
    """The uninterrupted run."""
    told = runs.spec(world)
    receipt = runs.train(world, told)
    return receipt, runs.final_weights(world, told, STEPS)


def test_killed_and_resumed_in_a_new_process_equals_uninterrupted(world: World, whole: tuple) -> None:
    told = runs.spec(world)
    folder = runs.folder(world, told)
    shutil.rmtree(folder)
    runs.train_until_killed(world, told, 8)
    # Steps six to eight are lost and made again.
    assert _steps_of(checkpoints(folder)) == [5]
    before = runs.versions(world, "editor")
    receipt = runs.train_apart(world, told)
    assert runs.equal(runs.final_weights(world, told, STEPS), whole[1])
    assert receipt.text() == whole[0].text()
    assert runs.versions(world, "editor") == before >= 1


def test_with_muon_too(world: World) -> None:
    muon = "{learning_rate: 0.02, weight_decay: 0.01, momentum: 0.95, iterations: 5}"
    told = runs.spec(world, f"training.stages.one.optimizer.muon={muon}")
    receipt = runs.train(world, told)
    weights = runs.final_weights(world, told, STEPS)
    shutil.rmtree(runs.folder(world, told))
    runs.train_until_killed(world, told, 8)
    assert runs.train_apart(world, told).text() == receipt.text()
    assert runs.equal(runs.final_weights(world, told, STEPS), weights)


def test_run_again_after_the_last_step_changes_nothing(world: World, whole: tuple) -> None:
    told = runs.spec(world)
    last = checkpoints(runs.folder(world, told))[-1]
    written = last.stat().st_mtime_ns
    before = runs.versions(world, "editor")
    assert runs.train(world, told).text() == whole[0].text()
    assert last.stat().st_mtime_ns == written
    assert runs.versions(world, "editor") == before


def test_a_damaged_checkpoint_is_dropped_and_the_one_before_used(
    world: World, whole: tuple, capsys: pytest.CaptureFixture[str]
) -> None:
    told = runs.spec(world)
    folder = runs.folder(world, told)
    kept, damaged = checkpoints(folder)
    assert _steps_of([kept, damaged]) == [10, STEPS]
    # Under a name that is not of the last step, so that it would be resumed from.
    damaged.rename(folder / "step-00000011.ckpt")
    (folder / "step-00000011.ckpt").write_bytes((folder / "step-00000011.ckpt").read_bytes()[:9999])
    assert runs.train(world, told).text() == whole[0].text()
    assert "damaged checkpoint removed" in capsys.readouterr().out
    assert runs.equal(runs.final_weights(world, told, STEPS), whole[1])


def test_a_damaged_last_checkpoint_is_made_again(world: World, whole: tuple) -> None:
    told = runs.spec(world)
    last = checkpoints(runs.folder(world, told))[-1]
    last.write_bytes(last.read_bytes()[:9999])
    assert runs.train(world, told).text() == whole[0].text()
    assert runs.equal(runs.final_weights(world, told, STEPS), whole[1])


def test_nothing_readable_is_a_fresh_start(tmp_path) -> None:
    assert newest_readable(tmp_path) is None
    for step in (5, 10):
        (tmp_path / f"step-{step:08d}.ckpt").write_bytes(b"rubbish")
    (tmp_path / "partial.ckpt").write_bytes(b"rubbish")
    assert newest_readable(tmp_path) is None
    assert checkpoints(tmp_path) == []


def test_the_autoencoder_resumes_as_exactly(world: World) -> None:
    told = runs.spec(world, "training.trainer.checkpoint_every=2", kind="autoencoder")
    runs.train_until_killed(world, told, 3)
    assert _steps_of(checkpoints(runs.folder(world, told))) == [2]
    resumed = runs.train(world, told)
    weights = runs.final_weights(world, told, 6)
    shutil.rmtree(runs.folder(world, told))
    assert runs.train(world, told).text() == resumed.text()
    assert runs.equal(runs.final_weights(world, told, 6), weights)
    assert resumed.figures.keys() == {
        "psnr_pictures", "psnr_clips", "composed_psnr_pictures", "composed_psnr_clips",
    }  # fmt: skip


WATCHER = "import time; from training import run; run.stop_with_parent(); print('on', flush=True); time.sleep(600)"
PARENT = """
import os, subprocess, sys, time
environment = os.environ | {"MOVIEGEN_PARENT": str(os.getpid())}
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment, stdout=subprocess.PIPE, text=True)
print(child.pid, flush=True)
if sys.argv[2] == "late":
    child.stdout.readline()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("when", ["late", "at once"])
def test_a_training_ends_with_its_parent(when: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT, WATCHER, when]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert parent.stdout.readline() == "ready\n"
        assert child.is_running()
        parent.send_signal(signal.SIGKILL)
    try:
        psutil.wait_procs([child], timeout=120)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            child.kill()
