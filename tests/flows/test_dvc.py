"""DVC runs the same chain: what did not change is skipped, and what did reruns only what waits for it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.stages import CHAIN
from tests.flows.checkout import Checkout, Made, tiny_checkout

NAMES = {stage.name for stage in CHAIN}
PAIRS = "features.pairs.one.image_edit"


@pytest.fixture(scope="module")
def locked(made: Made) -> Iterator[Checkout]:
    """The checkout with what the plain chain made taken into `dvc.lock`, all of it committed."""
    made.checkout.dvc("commit", "--force")
    made.checkout.commit()
    yield made.checkout
    made.checkout.git("checkout", "--quiet", "--", ".")


def changed(checkout: Checkout) -> set[str]:
    """Files that git sees changed."""
    return {line.split()[-1] for line in checkout.git("status", "--porcelain").splitlines()}


def test_what_the_plain_chain_made_is_up_to_date(locked: Checkout) -> None:
    assert locked.repro() == set()
    assert changed(locked) == set()


def test_a_threshold_rejudges_and_a_lost_store_is_made_again(locked: Checkout, made: Made) -> None:
    locked.set(("training.gate.min_success", 0.5))
    shutil.rmtree(locked.root / "store" / "pairs-one")
    assert locked.repro() == {"pairs-one", "evaluation"}, "nothing that waits for pairs: their content is equal"
    assert locked.receipts() == made.receipts
    assert changed(locked) == {"params.yaml", "dvc.lock"}


def test_another_number_of_pairs_changes_only_their_stage(locked: Checkout) -> None:
    locked.set((PAIRS, 25))
    told = json.loads(locked.dvc("status", "--json").splitlines()[-1])
    assert set(told) == {"pairs-one"}, "what waits for it follows when its receipt has changed"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_chain_by_dvc_alone(tmp_path: Path, made: Made) -> None:
    checkout = tiny_checkout(tmp_path / "checkout")
    assert checkout.repro() == NAMES
    assert checkout.receipts() == made.receipts
    checkout.commit()
    assert checkout.repro() == set()
    assert changed(checkout) == set()
    checkout.set((PAIRS, 25))
    assert checkout.repro() == NAMES - {"clips", "adopt", "cases", "requests-two", "requests-three"}
