"""Models that answer: one process for each that is loaded, so that unloading it frees all that it took."""
