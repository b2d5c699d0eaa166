"""Lints every SQL file, rendered: ``python -m tests.sql.lint``."""

from __future__ import annotations

import re
import sys

from sqlfluff.core import FluffConfig, Linter

from taxiway.paths import ROOT
from tests.sql import bigquery_rendered, rendered


def main() -> int:
    found, files = 0, 0
    for engine, of_engine in (("postgres", rendered), ("bigquery", bigquery_rendered)):
        config = FluffConfig.from_path(str(ROOT), overrides={"dialect": engine})
        if engine == "bigquery":  # it writes its types in upper case
            config.set_value(["rules", "capitalisation.types", "extended_capitalisation_policy"], "upper")
        linter = Linter(config=config)
        for name in of_engine.file_names():
            files += 1
            # The linter knows no placeholders; a text stands for each.
            statement = re.sub(r"%\((\w+)\)s", r"'\1'", of_engine.rendered(name)).rstrip() + "\n"
            for violation in linter.lint_string(statement).get_violations():
                found += 1
                where = f"include/sql/{name} (rendered line {violation.line_no})"
                print(f"{where}: {violation.rule_code()} {violation.desc()}")
    print(f"{files} SQL files, {found} violations")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
