"""A training process: `python -m training.run SPEC STATE RESULT`.

Its own process, so that ranks of a distributed strategy re-enter this small script and never a flow.
"""

import logging
import sys
from pathlib import Path

import torch

from stores.receipts import Receipt
from stores.state import State
from training.spec import TrainingSpec


def main(spec_path: Path, state_root: Path, result_path: Path) -> None:
    """Train what the spec says and leave the receipt in `result_path`."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
