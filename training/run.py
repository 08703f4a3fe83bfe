"""A training process: `python -m training.run SPEC STATE RESULT`.

Its own process, so that ranks of a distributed strategy re-enter this small script and never a flow.
"""

import os
import sys
import threading
import time
from pathlib import Path

import torch

from stores.receipts import Receipt
from stores.state import State
from training.spec import TrainingSpec


def main(spec_path: Path, state_root: Path, result_path: Path) -> None:
    """Train what the spec says and leave the receipt in `result_path`."""
    spec = TrainingSpec.model_validate_json(spec_path.read_text())
    state = State.at(state_root)
    torch.manual_seed(spec.seed)
    receipt: Receipt | None
    if spec.kind == "autoencoder":
        from training.fit_autoencoder import fit_autoencoder

        receipt = fit_autoencoder(spec, state)
    else:
        from training.fit_stage import fit_stage

        receipt = fit_stage(spec, state)
    if receipt is not None:
        result_path.write_text(receipt.text())


def stop_with_parent() -> None:
    """End this process when the one that started it is gone: two trainings must never share a checkpoint folder."""
    told = os.environ.get("MOVIEGEN_PARENT")
    if not told:
        return
    # A rank of a distributed strategy was started by rank 0, not by the flow.
    parent = os.getppid() if "LOCAL_RANK" in os.environ else int(told)

    def watch() -> None:
        # The parent may be gone before this begins.
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    stop_with_parent()
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
