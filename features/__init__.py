"""The feature pipeline: from raw files to validated triples in the feature store."""
