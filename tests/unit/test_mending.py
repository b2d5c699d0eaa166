"""A file whose rejected lines come first."""

from __future__ import annotations

import pytest

from taxiway.files.mending import rejects_first


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_rejected_lines_follow_the_header(block: int, line_end: bytes) -> None:
    body = line_end.join([b"a,b", b"1,2", b"bad", b"", b"3,4", b"\xff,6"])

    def blocks() -> object:
        return (body[start : start + block] for start in range(0, len(body), block))

    written = b"".join(rejects_first(blocks, {3, 6}))  # type: ignore[arg-type]

    assert written == b"a,b\nbad\n\xff,6\n1,2\n3,4\n"


def test_a_line_that_is_not_there_is_left_out() -> None:
    assert b"".join(rejects_first(lambda: iter([b"a\n1\n"]), {7})) == b"a\n1\n"
