"""What runs on our builders: spec → lock → prefix → archive + manifest → resources."""

import sys

LEAST_PYTHON = (3, 11)

# Here, before anything is imported whose syntax or library an older one does not have.
if sys.version_info < LEAST_PYTHON:
    found, least = (".".join(map(str, version[:2])) for version in (sys.version_info, LEAST_PYTHON))
    print(f"error: pack needs Python {least} or later, and this is {found} ({sys.executable}).", file=sys.stderr)
    print(f"  Install Python {least} (https://www.python.org/downloads), and run the same with it.", file=sys.stderr)
    print("  [interpreter-unsupported]", file=sys.stderr)
    sys.exit(48)
