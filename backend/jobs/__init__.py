"""Training jobs: rows in SQLite first, processes second."""
