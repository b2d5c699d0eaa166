"""Mutations of a CSV file and of its .gz, each drawn from a seeded generator."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from random import Random

NASTY = (
    b"x", b"1.0", b"1.50", b"1.5", b"+5", b"007", b".5", b"5.", b"1e3", b"1E-2", b"-0", b" 5 ", b"1_000", b"0x10",
    b"NaN", b"Infinity", b"-", b"--1", b"1-2", b"1:2", b"2147483648", b"-2147483649", b"2147483647", b"0.1" + b"0" * 40,
    b"9" * 60, b"\xd9\xa3", b"2019-02-29 10:00:00", b"2020-02-29 10:00:00", b"2020-02-30 10:00:00",
    b"2020-04-01 24:00:00", b"2020-04-01 10:60:00", b"2020-04-01 10:10:60", b"2020-04-01T10:00:00", b"2020-4-1 1:00:00",
    b"1/4/2020 0:46", b"0000-01-01 00:00:00", b"now", b"tomorrow", b"N", b"Y", b"NULL", b"\\N", b"\\.", b"", b"  ",
    b"\x1f", b"a\x1fb", b'"1"', b'"N"', b'""', b'"a,b"', b'"a""b"', b'1"2"', b'"1"2', b'"', b'a"b', b"\0", b"\xff",
    b"\xc3", b"\xc3\xa9", b"\xef\xbb\xbf1", b"\r", b'"\r"', b"1\n2", b'"1\n2"', b"\t1", b"'", b"$1", b"%s", b"{{ 1 }}",
    b"x" * 100_000, b"1" * 200_000, b"; DROP TABLE taxiway.loads; --",
)  # fmt: skip


def _line(draw: Random, lines: list[bytes]) -> int:
    return draw.randrange(1, max(2, len(lines) - 1)) if len(lines) > 1 else 0


def flip_bits(draw: Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(draw.choice((1, 1, 2, 5))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def cut_off(draw: Random, text: bytes) -> bytes:
    return text[: draw.randrange(len(text))]


def delete_bytes(draw: Random, text: bytes) -> bytes:
    start = draw.randrange(len(text))
    return text[:start] + text[start + draw.choice((1, 1, 3, 40, 400)) :]


def insert_bytes(draw: Random, text: bytes) -> bytes:
    start = draw.randrange(len(text))
    return text[:start] + draw.randbytes(draw.choice((1, 1, 2, 30))) + text[start:]


def repeat_bytes(draw: Random, text: bytes) -> bytes:
    start = draw.randrange(len(text))
    end = start + draw.choice((1, 10, 150, 1500))
    return text[:end] + text[start:end] + text[end:]


def replace_field(draw: Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    at = _line(draw, lines)
    fields = lines[at].split(b",")
    fields[draw.randrange(len(fields))] = draw.choice(NASTY)
    lines[at] = b",".join(fields)
    return b"\n".join(lines)


def swap_fields(draw: Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    at = _line(draw, lines)
    fields = lines[at].removesuffix(b"\r").split(b",")
    one, other = draw.randrange(len(fields)), draw.randrange(len(fields))
    fields[one], fields[other] = fields[other], fields[one]
    lines[at] = b",".join(fields) + (b"\r" if lines[at].endswith(b"\r") else b"")
    return b"\n".join(lines)


def count_fields(draw: Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    at = _line(draw, lines)
    lines[at] = draw.choice((b"," + lines[at], lines[at] + b",", lines[at].replace(b",", b"", 1), b",,", b"\\.", b"x"))
    return b"\n".join(lines)


def move_lines(draw: Random, text: bytes) -> bytes:
    lines = text.split(b"\n")
    one, other = _line(draw, lines), _line(draw, lines)
    lines[one], lines[other] = draw.choice(((lines[other], lines[one]), (lines[one], lines[one]), (lines[other], b"")))
    return b"\n".join(lines)


def change_line_ends(draw: Random, text: bytes) -> bytes:
    lf = text.replace(b"\r\n", b"\n")
    lines = lf.split(b"\n")
    at = _line(draw, lines)
    return draw.choice(
        (
            lf,
            lf.replace(b"\n", b"\r\n"),
            lf.replace(b"\n", b"\r"),
            lf.replace(b"\n", b"\r\r\n"),
            lf.replace(b"\n", b"\n\n"),
            lf.rstrip(b"\n"),
            lf + b"\n\n\r\n",
            b"\n".join(lines[:at]) + b"\r\n" + b"\n".join(lines[at:]),
            b"\n".join(lines[:at]) + b"\r" + b"\n".join(lines[at:]),
            b"\n".join([lines[0] + b"\r", *lines[1:]]),
        )
    )


def change_quotes(draw: Random, text: bytes) -> bytes:
    if draw.random() < 0.3:
        header, *lines = text.replace(b"\r\n", b"\n").split(b"\n")
        return b"\n".join([header, *(b",".join(b'"' + f + b'"' for f in line.split(b",")) for line in lines if line)])
    data = text
    for _ in range(draw.choice((1, 2, 2, 3, 4))):
        start = draw.randrange(text.index(b"\n") + 1 if b"\n" in text[:-1] else 0, len(text))
        data = data[:start] + b'"' + data[start:]
    return data


def change_header(draw: Random, text: bytes) -> bytes:
    header, end, rows = text.partition(b"\n")
    header = header.removesuffix(b"\r")
    names = header.split(b",")
    at = draw.randrange(len(names))
    changed = draw.choice(
        (
            header.upper(),
            header.lower(),
            b"\xef\xbb\xbf" + header,
            b", ".join(names),
            b",".join(b'"' + name + b'"' for name in names),
            b",".join([*names[:at], *names[at + 1 :]]),
            b",".join([*names[:at], names[at], *names[at:]]),
            b",".join([*names[:at], b"other", *names[at + 1 :]]),
            b",".join(reversed(names)),
            b",".join([names[at], *names[:at], *names[at + 1 :]]),
            b";".join(names),
            b"",
            b"\0" + header,
            b"\xff" + header,
        )
    )
    return changed + end + rows


def nothing_left(draw: Random, text: bytes) -> bytes:
    header = text.partition(b"\n")[0]
    return draw.choice((b"", b"\n", b"\r\n\r\n", header, header + b"\n", header + b"\n\n\n", b" ", b"\0" * 50))


TEXT: tuple[Callable[[Random, bytes], bytes], ...] = (
    flip_bits, cut_off, delete_bytes, insert_bytes, repeat_bytes, replace_field, replace_field, swap_fields,
    count_fields, move_lines, change_line_ends, change_quotes, change_header, nothing_left,
)  # fmt: skip


def flip_packed_bits(draw: Random, packed: bytes) -> bytes:
    data = bytearray(packed)
    limit = draw.choice((12, len(data), len(data)))
    data[draw.randrange(limit)] ^= 1 << draw.randrange(8)
    return bytes(data)


def break_off(draw: Random, packed: bytes) -> bytes:
    return packed[: draw.choice((draw.randrange(20), draw.randrange(len(packed)), len(packed) - draw.randrange(1, 9)))]


def insert_packed_bytes(draw: Random, packed: bytes) -> bytes:
    at = draw.randrange(len(packed))
    return packed[:at] + draw.randbytes(draw.choice((1, 4))) + packed[at + draw.choice((0, 1, 4)) :]


def add_behind(draw: Random, packed: bytes) -> bytes:
    return packed + draw.choice(
        (gzip.compress(b""), gzip.compress(b"1,2,3\n"), b"\0" * 512, b"more", packed, b"\x1f\x8b", b"<html>no</html>")
    )


def cut_into_members(draw: Random, packed: bytes) -> bytes:
    text = gzip.decompress(packed)
    at = sorted(draw.randrange(len(text)) for _ in range(3))
    parts = (text[start:end] for start, end in zip((0, *at), (*at, len(text)), strict=True))
    return b"".join(gzip.compress(part, draw.choice((0, 1, 9))) for part in parts)


def pack_otherwise(draw: Random, packed: bytes) -> bytes:
    text = gzip.decompress(packed)
    return draw.choice((text, zlib.compress(text), gzip.compress(packed), gzip.compress(text, 0)))


PACKED: tuple[Callable[[Random, bytes], bytes], ...] = (
    flip_packed_bits, break_off, insert_packed_bytes, add_behind, cut_into_members, pack_otherwise,
)  # fmt: skip
