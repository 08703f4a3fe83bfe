"""The whole chain, killed at random moments and run again, against one that ran through: `python -m benchmarks.kills`.

Writes `benchmarks/results/kills.json`: how often it was killed, and whether something was lost by it: the next run does
not go on, or its receipts in the end are not the same; they hold the digests of all tables and weights. Moments are
drawn evenly over the time that the uninterrupted run took.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.presets import committed_params, resolve
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment


@dataclass(frozen=True)
class Chain:
    """A chain with its parameters, to be run under a state root: of which checkout, in which environment."""

    params: Path
    root: Path
    environment: Mapping[str, str]

    def started(self, state: Path, log: Path) -> subprocess.Popen[bytes]:
        """Without a Prefect server, in a process group of its own."""
        command = [sys.executable, "-m", "flows.lifecycle", "--params", str(self.params), "--state", str(state)]
        environment = {key: value for key, value in self.environment.items() if key != "PREFECT_API_URL"}
        with log.open("ab") as said:
            return subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=said, stderr=said, start_new_session=True
            )

    def whole(self, state: Path, log: Path) -> float:
        """Run it to its end; seconds.

        Raises:
            RuntimeError: it ends badly.
        """
        begun = time.monotonic()
        code = self.started(state, log).wait()
        if code:
            raise RuntimeError(f"the chain ended with {code}: see {log}")
        return time.monotonic() - begun

    def killed(self, state: Path, log: Path, after: float) -> int | None:
        """Kill it and all that it started after so many seconds; its exit status if it ended before."""
        process = self.started(state, log)
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            return None
        finally:  # also where this program itself is interrupted
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def receipts(state: Path) -> dict[str, str]:
    """Receipts under a state root, byte for byte."""
    return {path.stem: path.read_text() for path in sorted((state / "receipts").glob("*.json"))}


def measure(chain: Chain, folder: Path, kills: int, seed: int) -> dict[str, float]:
    """Once through, then killed again and again until it has been killed so often, and run to its end.

    A chain that comes to its end between two kills is held against the whole one, and another begins. The first loss
    is the last kill.
    """
    whole, log = folder / "whole", folder / "chain.log"
    seconds = chain.whole(whole, log)
    rng, done, lost, chains = random.Random(seed), 0, False, 1
    while done < kills and not lost:
        mended = folder / f"mended-{chains}"
        # Done stages are looked at again and not redone, so a moment of the whole run is drawn anew every time.
        code = chain.killed(mended, log, rng.uniform(0.02, 1.0) * seconds)
        if code is None:
            done += 1
        else:
            lost, chains = code != 0 or receipts(mended) != receipts(whole), chains + 1
    mended = folder / f"mended-{chains}"
    code = chain.started(mended, log).wait()
    lost = lost or code != 0 or receipts(mended) != receipts(whole)
    return {"kills": done, "kills_lost": int(lost), "chains": chains, "stages": len(receipts(whole))}


def main() -> None:
    """`python -m benchmarks.kills`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The chain, killed at random moments.")
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULTS / "kills.json")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    params = folder / "params.yaml"
    params.write_text(resolve(committed_params(), (ROOT / "presets" / f"{told.preset}.yaml").read_text()))
    figures = measure(Chain(params, ROOT, os.environ), folder, told.kills, told.seed)
    print(write_record(told.result, {"preset": told.preset, "kills": told.kills, "seed": told.seed}, figures))
    if figures["kills_lost"]:
        sys.exit(f"benchmarks.kills: something was lost; both chains and their log lie in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
