"""The only doors between pipelines: LanceDB tables, MLflow models, media files, receipts."""
