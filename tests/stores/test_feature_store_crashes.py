"""The feature store under two writers at once, and after a writer was killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

from stores.feature_store import FeatureStore
from stores.schema import CLIPS, content_id
from tests.tiny import clip_rows

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = [f"clips-{i}" for i in range(4)]
SHARD = 5
WRITER = f"""
import sys
from stores.feature_store import FeatureStore
from stores.schema import CLIPS
from tests.tiny import clip_rows
for start in range(0, 100_000, {SHARD}):
    FeatureStore(sys.argv[1], "clips").upsert(CLIPS, clip_rows({SHARD}, start=start))
    print(start, flush=True)
"""


def write_everywhere(root: Path, together: Barrier) -> None:
    """Several new tables, each begun by all writers at the same moment, in shards."""
    for folder in FOLDERS:
        together.wait(60)
        for start in range(0, 20, SHARD):
            FeatureStore(root, folder).upsert(CLIPS, clip_rows(SHARD, start=start))


def test_two_processes_writing_the_same_new_rows_lose_and_double_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    other = context.Process(target=write_everywhere, args=(tmp_path, together))
    other.start()
    write_everywhere(tmp_path, together)
    other.join(60)
    assert other.exitcode == 0
    for folder in FOLDERS:
        ids = FeatureStore(tmp_path, folder).draft(CLIPS, ["id"])["id"].to_pylist()
        assert sorted(ids) == sorted(content_id(i) for i in range(20)), folder


def test_a_killed_writer_leaves_whole_shards_and_a_rerun_completes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)  # in the middle of a later shard
    with writer.stdout:
        told = writer.stdout.read().split()
    assert writer.wait() == -signal.SIGKILL
    store = FeatureStore(tmp_path, "clips")
    found = store.draft(CLIPS)["id"].to_pylist()
    assert len(found) == len(set(found)) >= SHARD * (3 + len(told))
    assert set(found) == {content_id(i) for i in range(len(found))} and len(found) % SHARD == 0
    store.upsert(CLIPS, clip_rows(len(found) + 1))
    assert store.open(store.publish(CLIPS)).rows().num_rows == len(found) + 1


def test_a_table_whose_writer_was_killed_before_its_first_version_is_made_anew(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "clips" / "clips.lance" / "_versions")
    store = FeatureStore(tmp_path, "clips")
    assert not store.has(CLIPS)
    assert (store.ids(CLIPS), store.draft(CLIPS).num_rows) == (set(), 0)
    assert store.upsert(CLIPS, clip_rows(2)) == 2
    assert store.open(store.publish(CLIPS)).rows().num_rows == 2
