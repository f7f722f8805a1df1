"""The engine: a FastAPI server that answers the app, and worker processes that do the training."""
