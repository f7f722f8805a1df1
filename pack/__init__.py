"""What runs on our builders: spec → lock → prefix → archive + manifest → resources."""
