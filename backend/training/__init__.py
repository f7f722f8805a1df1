"""One training: what to do, what it reads, the process that does it, and what that process tells."""
