"""Finds out whether every line of a CSV file is a row of its own, from whole blocks."""

from __future__ import annotations

from taxiway.files.csv_lines import has_empty_line


class TextRows:
    """Counts the rows of a file as its blocks pass by, and checks that every line is one row.

    If a quotation mark isn't closed, ``COPY`` reads on over lines, up to 1 GiB. If the first line ends with a carriage
    return, it takes each one for a line's end.
    """

    def __init__(self, columns: int) -> None:
        """Begin with no row.

        :param columns: how many fields a row has
        """
        self._one_column = columns == 1
        self._goes_on = False
        self.count = 0

    def add(self, block: bytes) -> bool:
        """Count the rows of a block, and say whether each of its lines can be one.

        :param block: whole lines; the file's last one may lack its end
        """
        if self._goes_on:
            return False
        self._goes_on = not block.endswith(b"\n")
        self.count += block.count(b"\n") + self._goes_on
        if block.count(b"\r") != block.count(b"\r\n") or (self._one_column and has_empty_line(block)):
            return False
        return b'"' not in block or not any(line.count(b'"') % 2 for line in block.split(b"\n"))
