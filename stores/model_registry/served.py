"""A registered model as MLflow serves it, logged as code: nothing is pickled.

The registered version keeps only an entry point `module:function`, so that this door need not know the rooms behind it.
"""

import importlib
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import pandas as pd


class ServedModel(mlflow.pyfunc.PythonModel):
    """Calls `entry(folder of the weights)` once, and what that returns with (rows, params) for every request."""

    def load_context(self, context: Any) -> None:
        module, function = context.model_config["entry"].split(":")
        folder = Path(next(iter(context.artifacts.values()))).parent
        self._serve = getattr(importlib.import_module(module), function)(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        served: pd.DataFrame = self._serve(model_input, params or {})
        return served


mlflow.models.set_model(ServedModel())
