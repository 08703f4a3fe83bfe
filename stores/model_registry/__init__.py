"""The MLflow door: tracking runs and registered models. Only home of mlflow."""
