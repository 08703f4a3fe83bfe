"""The chain under fire: a kill is told from an end, and nothing is lost."""

import signal
from pathlib import Path

import pytest

from benchmarks.kills import Chain, measure, receipts
from flows.stages import CHAIN
from tests.flows.checkout import tiny_checkout


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    checkout = tiny_checkout(tmp_path_factory.mktemp("kills") / "checkout")
    return Chain(checkout.root / "params.yaml", checkout.root, checkout.environment())


def test_a_chain_that_ends_before_its_kill_tells_its_status(chain: Chain, tmp_path: Path) -> None:
    wrong = Chain(chain.root / "missing.yaml", chain.root, chain.environment)
    assert wrong.killed(tmp_path / "state", tmp_path / "log", after=60) == 1
    with pytest.raises(RuntimeError, match="the chain ended with 1: see "):
        wrong.whole(tmp_path / "state", tmp_path / "log")
    assert "missing.yaml: no such parameter file" in (tmp_path / "log").read_text()


def test_a_kill_ends_the_chain_and_says_so(chain: Chain, tmp_path: Path) -> None:
    assert chain.killed(tmp_path / "state", tmp_path / "log", after=2) is None
    process = chain.started(tmp_path / "state", tmp_path / "log")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and receipts(tmp_path / "state") == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost(chain: Chain, tmp_path: Path) -> None:
    found = measure(chain, tmp_path, kills=3, seed=1)
    assert found["kills"] == 3 and found["kills_lost"] == 0 and found["stages"] == len(CHAIN)
    for number in range(1, int(found["chains"]) + 1):
        assert receipts(tmp_path / "whole") == receipts(tmp_path / f"mended-{number}")
