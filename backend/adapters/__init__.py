"""Finished adapters: found, described, merged and handed out."""
