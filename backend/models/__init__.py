"""Base models: on this machine, and on the hub."""
