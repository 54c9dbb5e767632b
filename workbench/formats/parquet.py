"""Parquet files, in and out. The only file that knows pyarrow, so it is imported only when a Parquet file turns up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CorpusError

BATCH_ROWS = 256


def rows_of(data: bytes, name: str, largest_bytes: int) -> list[dict[str, Any]]:
    """The rows of a Parquet file, nested values as lists and dicts. Raises CorpusError for a damaged or too large one."""
    rows: list[dict[str, Any]] = []
    size = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(batch_size=BATCH_ROWS):
            size += batch.nbytes
            if size > largest_bytes:  # a few packed bytes may stand for very much text
                raise CorpusError(f"{name} holds more than {largest_bytes >> 20} MB; split it, or take a sample of its rows")
            rows += batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as fault:
        said = " ".join(str(fault).split())[:200]
        raise CorpusError(f"{name} is a damaged Parquet file, or of a kind that cannot be read ({said}); export it again, or save it as JSONL") from fault
    return rows


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of the same columns as one Parquet file."""
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
