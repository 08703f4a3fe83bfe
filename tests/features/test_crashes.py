"""The feature pipeline killed at random moments and run again, and twice at once: equal to a run without a break."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stores.feature_store import FeatureStore
from stores.schema import CLIPS, EDIT_PAIRS
from stores.state import State
from tests.features.conftest import Made
from tests.world import ROOT, ingested, pair_setting, paired

# Says what it is about to do; with "wait" it starts only when told to, so that two can start at once.
WRITER = """
import sys
from pathlib import Path
from features.ingest import ingest
from features.pairs import build_shard
from features.plan import plan_pairs, shards
from features.raw import read_raw
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CLIPS
from stores.state import State
from tests.world import limits, pair_setting, tiny_params

state, raw, params = State.at(sys.argv[1]), Path(sys.argv[2]), tiny_params()
print("ready", flush=True)
if sys.argv[3] == "wait":
    sys.stdin.readline()
print("ingest", flush=True)
store = FeatureStore(state.store, "clips")
ingest(read_raw(raw), store, params.features, limits(params))
print("publish clips", flush=True)
clips = Receipt(stage="clips", tables={CLIPS.name: store.publish(CLIPS)})
setting = pair_setting(state, clips, params)
pairs = params.features.pairs["one"]
for number, shard in enumerate(shards(plan_pairs(pairs), pairs.shard)):
    print("shard", number, flush=True)
    build_shard(shard, setting, FeatureStore(state.store, "pairs-one"))
"""
MOMENTS = ("ingest", "publish clips", "shard 0", "shard 1", "shard 2", "shard 3")


def _raw(made: Made) -> Path:
    return made.state.root.parent / "raw"


def _writer(root: Path, made: Made, how: str = "go") -> subprocess.Popen[str]:
    # Digests are promised equal for equal numbers of threads.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", WRITER, str(root), str(_raw(made)), how]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _killed(root: Path, made: Made, line: str, delay: float) -> None:
    """Start a writer and kill it a moment after it says `line`."""
    with _writer(root, made) as writer:
        assert writer.stdout
        said = []
        for told in writer.stdout:
            said.append(told.strip())
            if said[-1] == line:
                break
        assert said[-1] == line, said
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)


def _completed(root: Path, made: Made) -> tuple[object, object]:
    """Receipts of a run over what is there."""
    state = State.at(root)
    clips = ingested(state, _raw(made), made.params)
    return clips, paired(state, pair_setting(state, clips, made.params), made.params.features)


def _ids(root: Path, folder: str) -> list[str]:
    spec = CLIPS if folder == "clips" else EDIT_PAIRS
    return FeatureStore(State.at(root).store, folder).draft(spec, ["id"])["id"].to_pylist()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=[pytest.mark.slow, pytest.mark.timeout(900)]) for seed in range(1, 6))]
)
def test_killed_at_random_moments_and_run_again_equals_an_unbroken_run(made: Made, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for moment in sorted(rng.sample(range(len(MOMENTS)), 1 if seed == 0 else 3)):
        _killed(tmp_path, made, MOMENTS[moment], rng.uniform(0, 0.3))
    assert _completed(tmp_path, made) == (made.clips, made.pairs)
    for folder in ("clips", "pairs-one"):
        ids = _ids(tmp_path, folder)
        assert len(ids) == len(set(ids)) and ids == _ids(made.state.root, folder)


def test_a_second_run_adds_nothing(made: Made, tmp_path: Path) -> None:
    assert _completed(tmp_path, made) == _completed(tmp_path, made) == (made.clips, made.pairs)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_at_once_lose_and_double_nothing(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.state.store / "clips", tmp_path / "store" / "clips")
    with _writer(tmp_path, made, "wait") as one, _writer(tmp_path, made, "wait") as other:
        for writer in (one, other):
            assert writer.stdout and writer.stdout.readline() == "ready\n"
        for writer in (one, other):
            assert writer.stdin
            writer.stdin.write("go\n")
            writer.stdin.flush()
        assert [writer.wait(600) for writer in (one, other)] == [0, 0]
    for folder in ("clips", "pairs-one"):
        assert _ids(tmp_path, folder) == _ids(made.state.root, folder)
    assert _completed(tmp_path, made) == (made.clips, made.pairs)
