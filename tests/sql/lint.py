"""Lints every SQL file, rendered: ``python -m tests.sql.lint``."""

from __future__ import annotations

import re
import sys

from sqlfluff.core import FluffConfig, Linter

from taxiway.core.paths import ROOT
from tests.sql.rendered import file_names, rendered


def main() -> int:
    linter = Linter(config=FluffConfig.from_path(str(ROOT)))
    found = 0
    for name in file_names():
        # The linter knows no placeholders; a text stands for each.
        statement = re.sub(r"%\((\w+)\)s", r"'\1'", rendered(name)).rstrip() + "\n"
        for violation in linter.lint_string(statement).get_violations():
            found += 1
            print(f"include/sql/{name} (rendered line {violation.line_no}): {violation.rule_code()} {violation.desc()}")
    print(f"{len(file_names())} SQL files, {found} violations")
    return 1 if found or not file_names() else 0


if __name__ == "__main__":
    sys.exit(main())
