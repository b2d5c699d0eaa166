"""Streams a Parquet file as CSV, in record batches. As a program, it looks through a file, and says what it found."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from taxiway.files.arrow_lines import Texts, lines_of, scalar
from taxiway.files.file_format import BLOCK, Digest, FileFaultError, NotOfTypeError, UnpackedSizeError
from taxiway.files.parquet_text import decoded, field_texts, is_text, typed_texts, unwrapped, value_type
from taxiway.messages import counted, one_line, quoted

_FEW_ROWS, _MANY_ROWS = 512, 16_384
# Rows that Arrow gives at once. How long a text is shows only then, because the file has it once for all its rows. So
# they are few, unless Arrow gives the texts in dictionaries, too. No more rows become CSV at once: a value may have few
# bytes, or none, and many characters.

_MOST_BYTES = 4 * BLOCK
# Bytes of the values that become CSV at once, if it isn't one longer row.

_ROWS_OF_A_BLOCK = 4_096
# Rows of a batch whose texts become one block. Larger blocks and their copies with ids take more memory, and more time,
# because they don't fit into the processor's cache.

_SHORT_TEXTS = 8 * BLOCK
# Bytes of a row group's texts in one column, as they are in the file, that Arrow may give in a dictionary: until the
# group's end, it keeps all that differ.

_READ_BUFFER = 64 * 1024
# Bytes of a column that are read ahead. Without this, Arrow keeps all columns of a row group in memory.

_MOST_MEMORY = 2 * 1024**3
# Bytes of memory that reading a file may take: a damaged file may ask for any number.

_ROW_TEXTS = pcsv.WriteOptions(include_header=False, quoting_style="none", delimiter="\x1f", null_string="\\N")
# Texts of rows as docs/row-identity.md has them.

_NOTHING, _EMPTY, _COMMA = map(scalar, ("", '""', ","))


def csv_blocks(
    path: Path, types: Mapping[str, str], digest: Digest | None = None, *, limit: int | None = None
) -> Iterator[bytes]:
    """Yield a header line, then the rows as lines of CSV.

    The file is opened once, so digest and rows are of the same file, also if another one takes its path meanwhile.

    :param path: the file
    :param types: types of the source's columns, by their names in lower case; other columns are written as they are
    :param digest: is fed the file's own bytes, before its rows are read
    :param limit: bytes that the rows may have; None for any number
    :return: blocks of whole lines, as :data:`BLOCK` says
    :raises FileFaultError: the file is damaged
    :raises UnpackedSizeError: it has more rows than the limit allows; what was yielded before is within it
    """
    with _faults(), path.open("rb") as file:
        names, batches = _read(file, digest)
        kinds = [types.get(name.strip().lower()) for name in names]
        header = ",".join(map(_header_name, names)).encode() + b"\n"
        size = len(header)
        yield header
        for columns in batches:
            for block in _cut(_lines(columns, kinds)):
                size += len(block)
                if limit is not None and size > limit:
                    raise UnpackedSizeError(file.tell(), size, "a Parquet file")
                yield block


def typed_lines(
    path: Path, columns: Sequence[tuple[int, str]], digest: Digest | None = None, *, limit: int | None = None
) -> Iterator[bytes]:
    """Stream the rows of a Parquet file as texts of rows, if all values have the types of their columns.

    :param path: the file
    :param columns: place in the file and type of each column, in the order of the text
    :param digest: as for :func:`csv_blocks`
    :param limit: bytes that the rows may have; None for any number
    :return: blocks of whole lines: values joined with U+001F, nulls as ``\\N``
    :raises NotOfTypeError: a value isn't of its column's type, or the rows may be larger than the limit
    :raises FileFaultError: the file is damaged
    """
    size = 0
    with _faults(), path.open("rb") as file:
        for values in _read(file, digest)[1]:
            texts = [typed_texts(values[place], kind) for place, kind in columns]
            for first in range(0, len(texts[0]), _ROWS_OF_A_BLOCK):
                rows = [column[first : first + _ROWS_OF_A_BLOCK] for column in texts]
                for block in _cut(lines_of(rows, _ROW_TEXTS)):
                    size += len(block)
                    if limit is not None and size > limit:
                        raise NotOfTypeError
                    yield block


def _read(file: BinaryIO, digest: Digest | None) -> tuple[list[str], Iterator[list[pa.Array]]]:
    """Return the names of a file's columns, and its rows; a digest is fed the file's bytes before."""
    if digest is not None:
        while block := file.read(BLOCK):
            digest.update(block)
        file.seek(0)
    parquet, rows_at_once = _opened(file)
    if not parquet.schema_arrow.names:
        raise FileFaultError("a Parquet file without columns")
    return parquet.schema_arrow.names, _counted(parquet, rows_at_once)


def _counted(parquet: pq.ParquetFile, rows_at_once: int) -> Iterator[list[pa.Array]]:
    """Yield a file's rows; make sure that there are as many as it says."""
    rows = 0
    for columns in _batches(parquet, rows_at_once):
        rows += len(columns[0])
        yield columns
    if rows != parquet.metadata.num_rows:
        raise FileFaultError(f"a Parquet file of {counted(rows, 'row')} whose footer says {parquet.metadata.num_rows}")


def declared_types(path: Path) -> dict[str, str]:
    """Return the types of a file's columns, each as a type of a source, by the columns' names."""
    with _faults():
        schema = pq.read_schema(path)
    kinds = {field.name.strip(): _declared(field.type) for field in schema}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _declared(kind: pa.DataType) -> str | None:
    kind = value_type(kind)
    if pa.types.is_null(kind):
        return None
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numeric"
    return "timestamp" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else "text"


@contextmanager
def _faults() -> Iterator[None]:
    """Say what is wrong with a file that Arrow can't read."""
    try:
        yield
    except MemoryError as error:
        raise FileFaultError("a Parquet file that asks for more memory than any does") from error
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's fault
        raise FileFaultError(f"a damaged Parquet file ({one_line(str(error))})") from error
    except (pa.ArrowException, UnicodeError, ValueError, OverflowError) as error:
        if isinstance(error, FileFaultError):
            raise
        raise FileFaultError(f"a damaged Parquet file ({one_line(str(error))})") from error


def _opened(file: BinaryIO) -> tuple[pq.ParquetFile, int]:
    """Open a file for its rows; return how many can be read at once."""
    open_ = partial(pq.ParquetFile, file, pre_buffer=False, buffer_size=_READ_BUFFER, page_checksum_verification=True)
    parquet = open_()
    fields, metadata = parquet.schema_arrow, parquet.metadata
    texts = [number for number, field in enumerate(fields) if is_text(value_type(field.type))]
    if not (
        len(set(fields.names)) == len(fields) == metadata.num_columns
        and all(number in texts or _is_short(field.type) for number, field in enumerate(fields))
        and all(
            metadata.row_group(group).column(number).total_uncompressed_size <= _SHORT_TEXTS
            for group in range(metadata.num_row_groups)
            for number in texts
        )
    ):
        return parquet, _FEW_ROWS
    return open_(metadata=metadata, read_dictionary=[fields.names[number] for number in texts]), _MANY_ROWS


def _is_short(kind: pa.DataType) -> bool:
    """Say whether each value of a type has a few bytes, in the file and in memory."""
    return any(test(kind) for test in (pa.types.is_null, pa.types.is_primitive, pa.types.is_decimal))


def _batches(parquet: pq.ParquetFile, rows_at_once: int) -> Iterator[list[pa.Array]]:
    """Yield the columns of some rows: of at most :data:`_MOST_BYTES`, or of one longer row."""
    waiting, rows, size = list[list[pa.Array]](), 0, 0
    for read in parquet.iter_batches(rows_at_once, use_threads=False):
        for columns, bytes_ in _parts(list(map(unwrapped, read.columns))):
            if waiting and (size + bytes_ > _MOST_BYTES or rows + len(columns[0]) > _MANY_ROWS):
                yield _together(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(columns)
            rows += len(columns[0])
            size += bytes_
    if waiting:
        yield _together(waiting)


def _parts(columns: list[pa.Array]) -> Iterator[tuple[list[pa.Array], int]]:
    """Halve rows until the bytes of each part, which are yielded with it, are at most :data:`_MOST_BYTES`."""
    rows, size = len(columns[0]), sum(map(_bytes_of, columns))
    if rows < 2 or size <= _MOST_BYTES:
        yield columns, size
    else:
        yield from _parts([column[: rows // 2] for column in columns])
        yield from _parts([column[rows // 2 :] for column in columns])


def _bytes_of(column: pa.Array) -> int:
    """Return the bytes of a column's values; a text of a dictionary counts in each of its rows."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    return int(column.indices.nbytes) + (pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0)


def _together(parts: Sequence[list[pa.Array]]) -> list[pa.Array]:
    if len(parts) == 1:
        return parts[0]
    return [pa.concat_arrays(map(decoded, columns)) for columns in zip(*parts, strict=True)]


def _cut(lines: bytes) -> Iterator[bytes]:
    """Cut lines into blocks: values that grow as CSV may need more than one."""
    start = 0
    while start < len(lines):
        end = start + BLOCK
        if end < len(lines):
            end = lines.rfind(b"\n", start, end) + 1 or lines.find(b"\n", end) + 1
        yield lines[start:end]
        start = end


def _header_name(name: str) -> str:
    """Write a column's name as a header has it; what no header can have is escaped."""
    name = name if name.isprintable() else quoted(name)
    return '"' + name.replace('"', '""') + '"' if set(name) & {",", '"'} else name


def _lines(values: Sequence[pa.Array], kinds: Sequence[str | None]) -> bytes:
    """Write rows as lines of CSV."""
    columns = [field_texts(column, kind) for column, kind in zip(values, kinds, strict=True)]
    if len(columns) == 1:
        # A line for a row without a value must not be empty.
        given = pc.coalesce(columns[0], _NOTHING)
        return _joined([pc.if_else(pc.equal(given, _NOTHING), _EMPTY, given)])
    try:
        return lines_of(columns)
    except pa.ArrowInvalid:  # a text holds a comma or a quotation mark: field_texts has quoted it
        return _joined(columns)


def _joined(columns: Sequence[Texts]) -> bytes:
    large = [column.cast(pa.large_string()) for column in columns]
    lines = pc.binary_join_element_wise(
        *large, _COMMA.cast(pa.large_string()), null_handling="replace", null_replacement=""
    )
    return b"\n".join(lines.cast(pa.large_binary()).to_pylist()) + b"\n"


def _look_through(path: Path, limit: int | None) -> dict[str, object]:
    digest = hashlib.sha256()
    try:
        unpacked = sum(map(len, csv_blocks(path, {}, digest, limit=limit)))
    except UnpackedSizeError as error:
        return {"too_large": [error.size, error.unpacked]}
    except FileFaultError as error:
        return {"fault": str(error)}
    return {"sha256": digest.hexdigest(), "unpacked": unpacked}


def _most_memory() -> int:
    """Return bytes of memory that this process may take: its own limit, or a lower one that it was started with."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    return _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_most_memory(), _most_memory()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(_look_through(Path(sys.argv[1]), int(sys.argv[2]) or None), sys.stdout)
