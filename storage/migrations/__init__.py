"""Schema migrations, run by `storage.schema` at every start."""
