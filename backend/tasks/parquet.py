"""Turn a parquet file into JSON lines, which everything else reads."""

from __future__ import annotations

import json
from pathlib import Path

from backend.working import CannotWork, first_line

BATCH_ROWS = 1000


def write_rows(*, source: str, destination: str) -> int:
    """Write each row of `source` as one line of `destination`; return how many there are.

    Raises CannotWork (parquet-unreadable).
    """
    from pyarrow import ArrowException, parquet

    count = 0
    try:
        with parquet.ParquetFile(source) as file, Path(destination).open("w", encoding="utf-8") as lines:
            for batch in file.iter_batches(BATCH_ROWS):
                for row in batch.to_pylist():
                    lines.write(json.dumps(row, default=str) + "\n")  # dates and bytes have no JSON of their own
                    count += 1
    except ArrowException as error:
        raise CannotWork(
            "parquet-unreadable",
            f"This is no parquet file that can be read: {first_line(error)}",
            "Write the file again, or save it as .jsonl.",
        ) from error
    return count
