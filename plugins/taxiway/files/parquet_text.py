"""Writes columns of a Parquet file as fields of CSV, whole arrays at once.

Types drift between the months of a source: numbers come as int, double, text or null. A value that its column's type
can have is written as CSV has it. Any other value is written so that the checks of CSV reject its row, and name the
column and the value.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from taxiway.files.arrow_lines import Texts, scalar, texts_of
from taxiway.files.file_format import NotOfTypeError

UNREADABLE = "\x1f"
"""Stands before what no column can hold: a text with this character is rejected, whatever its column's type."""

_TIMESTAMP_LENGTH = len("2019-01-01 00:00:00")

_UTC = ("UTC", "Etc/UTC", "+00:00", "Z")


_MARK, _QUOTE, _NOTHING, _MINUS_ZERO, _ZERO = map(scalar, (UNREADABLE, '"', "", "-0", "0"))


def field_texts(array: pa.Array, kind: str | None) -> Texts:
    """Write the values of a column as fields of CSV; a null stays a null.

    Numbers are plain decimals: the shortest ones that read back as the same double, without an exponent. Timestamps are
    wall-clock times. A text is quoted if it holds a comma or a quotation mark.

    :param array: of any type that :func:`unwrapped` returns
    :param kind: type of the source's column; None if the source doesn't know it
    """
    type_ = value_type(array.type)
    if pa.types.is_null(type_):
        return array.cast(pa.string())
    if is_text(type_):
        return _by_value(array, _quoted_texts)
    if pa.types.is_integer(type_):
        return _by_value(array, lambda values: values.cast(pa.string()))
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return _by_value(array, partial(_number_texts, kind=kind))
    texts = _time_texts(array) if pa.types.is_timestamp(type_) or pa.types.is_date(type_) else _other_texts(array)
    return texts if kind in ("timestamp", None) else _marked(texts)


def typed_texts(array: pa.Array, kind: str) -> Texts:
    """Write the values of a column as the text of a row has them, if they have the column's type as they are.

    :param array: as for :func:`field_texts`
    :param kind: type of the source's column
    :raises NotOfTypeError: some don't: a number in a text, a number that isn't finite, a fraction of a second, a text
        that is more than ASCII letters, digits and ``.:_-``
    """
    type_ = value_type(array.type)
    if kind == "timestamp":
        is_sound = pa.types.is_timestamp(type_) and array.null_count == 0
    elif kind == "text":
        is_sound = is_text(type_) or pa.types.is_null(type_)
    elif pa.types.is_floating(type_):
        is_sound = pc.all(pc.is_finite(array)).as_py() is not False
    else:
        is_sound = pa.types.is_integer(type_) or pa.types.is_null(type_)
    if not is_sound:
        raise NotOfTypeError
    texts = field_texts(array, kind)
    if kind == "timestamp":
        # Compared in Python: for a number that Arrow is given, it imports pandas first, as for a text.
        is_sound = {None, _TIMESTAMP_LENGTH}.issuperset(pc.min_max(pc.binary_length(texts)).as_py().values())
    elif kind == "text":
        is_sound = pc.all(pc.match_substring_regex(texts.unique(), r"^[0-9A-Za-z.:_-]+$")).as_py() is not False
    if not is_sound:
        raise NotOfTypeError
    return texts


def unwrapped(array: pa.Array) -> pa.Array:
    """Return the values without what Arrow puts around them: extensions, views, dictionaries of anything but texts.

    :param array: of any type
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not is_text(value_type(array.type)):
        array = decoded(array)
    if pa.types.is_fixed_size_binary(array.type) or array.type in (pa.binary_view(), pa.string_view()):
        array = array.cast(pa.binary())
    return array


def decoded(array: pa.Array) -> pa.Array:
    """Return the values without a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def value_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, be they in a dictionary or not."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def is_text(type_: pa.DataType) -> bool:
    """Say whether values of a type are texts, or bytes that may be."""
    return any(
        test(type_)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _by_value(array: pa.Array, write: Callable[[pa.Array], Texts]) -> Texts:
    """Write each value once, however many rows have it: several times as quick as writing every row."""
    if pa.types.is_dictionary(array.type) and len(array.dictionary) > len(array):
        array = decoded(array)  # most of its texts are of other rows
    distinct = array.dictionary_encode()
    return write(distinct.dictionary).take(distinct.indices)


def _number_texts(values: pa.Array, *, kind: str | None) -> Texts:
    """Write doubles, floats and decimals; NaN and the infinities so that no column can hold them."""
    if pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    texts = values.cast(pa.string())
    if pa.types.is_decimal(values.type):
        texts = pc.replace_substring_regex(texts, r"[.]0+$", "")
    else:  # quicker; Arrow writes whole ones with one zero
        whole = pc.binary_slice(texts.cast(pa.binary()), 0, -2).cast(pa.string())
        texts = pc.if_else(pc.ends_with(texts, ".0"), whole, texts)
    if kind == "text":
        texts = pc.if_else(pc.is_finite(values), texts, _marked(texts))
    texts = pc.if_else(pc.equal(texts, _MINUS_ZERO), _ZERO, texts)
    with_exponent = pc.match_substring(texts, "E" if pa.types.is_decimal(values.type) else "e")
    if pc.any(with_exponent).as_py():
        texts = pc.replace_with_mask(
            texts,
            with_exponent,
            texts_of(f"{Decimal(text):f}" for text in texts.filter(with_exponent).to_pylist()),
        )
    return texts


def _time_texts(array: pa.Array) -> Texts:
    """Write timestamps and dates as wall-clock times; a fraction of zero is none."""
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        zone = array.type.tz
        array = array.cast(pa.timestamp(array.type.unit)) if zone in _UTC else pc.local_timestamp(array)
    try:
        return array.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:
        return pc.replace_substring_regex(array.cast(pa.string()), r"[.]0+$", "")


def _other_texts(array: pa.Array) -> Texts:
    """Write values of types that no source has, one by one; the first characters tell what they are."""
    texts = (None if value is None else f"{array.type}: {value}"[:200] for value in array.to_pylist())
    return _quoted_texts(texts_of(texts))


def _quoted_texts(values: pa.Array) -> Texts:
    """Quote texts as CSV has them; one that isn't UTF-8 or has a line end is escaped, and can't be read."""
    texts = _checked_texts(values)
    quoted = pc.binary_join_element_wise(_QUOTE, pc.replace_substring(texts, '"', '""'), _QUOTE, _NOTHING)
    return pc.if_else(pc.match_substring_regex(texts, r'[,"\r]|^\\[.]$'), quoted, texts)


def _checked_texts(values: pa.Array) -> Texts:
    values = values.cast(pa.binary())
    try:
        texts = values.cast(pa.string())  # which looks whether they are UTF-8
    except pa.ArrowInvalid:
        texts = texts_of(None if value is None else _valid_text(value) for value in values.to_pylist())
    broken = pc.match_substring(texts, "\n")
    if pc.any(broken).as_py():
        texts = pc.if_else(broken, _marked(pc.replace_substring(texts, "\n", "\\n")), texts)
    return texts


def _marked(texts: Texts) -> Texts:
    return pc.binary_join_element_wise(_MARK, texts, _NOTHING)


def _valid_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return UNREADABLE + value.decode(errors="backslashreplace")
