"""The whole chain, killed wherever it is: the next run goes on, and ends with what an uninterrupted one leaves."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from flows.stages import run_stages
from flows.steps import PlainSteps
from models.build import AUTOENCODER, EDITOR
from tests.flows import checkout as tiny
from tests.flows.checkout import Checkout, Made, contents

# Progress at which a run is killed, in the order of the chain: where exactly after it is left to chance.
MOMENTS = (
    "ingest",
    "check clips",
    "adopt base",
    "encode shard 1/",
    "encode shard 4/",
    "check pairs",
    "compose cases",
    "check cases",
    "one: step 2/",
    "one: step 4/",
    "answer requests",
    "write requests",
    "encode generated shard",
    "two: step 2/",
    "replay pairs",
    "three: step 2/",
    "edit samples",
    "score cases",
)


def killed(
    checkout: Checkout, state: str, stages: Sequence[str], line: str, delay: float, family: bool, **more: str
) -> None:
    """Start the chain, kill it a moment after it says `line`, and wait until the last of its processes is gone.

    Without `family` only the chain itself is killed: a training that it started must notice and end.
    """
    command = [sys.executable, *tiny.CHAIN, *stages, "--state", state]
    with subprocess.Popen(
        command, cwd=checkout.root, env=checkout.environment(**more), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout
        said = []
        for told in process.stdout:
            said.append(told)
            if line in told:
                time.sleep(delay)
                os.killpg(process.pid, signal.SIGKILL) if family else process.kill()
                break
        assert line in said[-1], "".join(said)[-4000:]
        process.stdout.read()  # ends when nobody is left who could write


def test_a_training_killed_with_its_chain_goes_on_where_it_was(made: Made) -> None:
    """Only the chain is killed: the training it started must notice, end, and leave what the next can resume."""
    state, needed = "var/killed", ("clips", "adopt", "pairs-one")
    killed(made.checkout, state, (*needed, "one"), "one: step 4/", 0.3, family=False)
    assert "one" not in made.checkout.receipts(state)
    said = made.checkout.chain("one", "--state", state)
    assert "step 1/" not in said
    assert made.checkout.receipts(state) == {name: made.receipts[name] for name in (*needed, "one")}


def test_several_processes_make_what_one_makes_also_when_killed(made: Made) -> None:
    """Only the chain is killed: its workers must notice and end, or reading what they say would never end."""
    state, needed, two = "var/two", ("clips", "adopt", "pairs-one"), {"MOVIEGEN_PROCESSES": "2"}
    killed(made.checkout, state, needed, "encode shard 3/", 0.1, family=False, **two)
    assert "pairs-one" not in made.checkout.receipts(state)
    made.checkout.chain("pairs-one", "--state", state, **two)
    assert made.checkout.receipts(state) == {name: made.receipts[name] for name in needed}


def test_a_count_of_processes_that_is_none_is_told(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ("0", "two", "-1", "1.5", ""):
        monkeypatch.setenv("MOVIEGEN_PROCESSES", told)
        with pytest.raises(ValueError, match=f"MOVIEGEN_PROCESSES is '{told}', but must be a whole number from 1 on"):
            run_stages(("pairs-one",), made.checkout.job(), PlainSteps())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_and_run_again_leaves_equal_receipts(made: Made, seed: int) -> None:
    rng, state = random.Random(seed), f"var/killed-{seed}"
    for moment in sorted(rng.sample(range(len(MOMENTS)), 3)):
        killed(made.checkout, state, (), MOMENTS[moment], rng.uniform(0, 1.5), family=rng.random() < 0.5)
    made.checkout.chain("--state", state)
    assert made.checkout.receipts(state) == made.receipts
    whole, mended = contents(made.checkout.job().state), contents(made.checkout.job(state=state).state)
    assert mended["tables"] == {name: ids for name, ids in whole["tables"].items() if not name.startswith("user/")}
    assert mended["models"] == whole["models"]
    assert {name for name, *_ in mended["models"]} == {AUTOENCODER, "base", EDITOR}
