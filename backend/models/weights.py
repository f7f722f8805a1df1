"""Which files hold a model's weights, by their names."""

from __future__ import annotations

SAFE = ("*.safetensors",)
PICKLED = ("*.bin", "*.pt", "*.pth")
PICKLES = (*PICKLED, "*.ckpt", "*.pkl")  # whatever could run something when it is read
