"""``make mutants``: changes sources, files and loads in small ways, one at a time, and counts what their tests notice.

mutmut makes the changes, which are called mutants; its settings are in ``pyproject.toml``. It changes functions and
methods, the texts of their errors too, but no constants of modules and no properties. All its changes count. A mutant
that no test notices survives: a test is missing, or code is superfluous. ``survivors.yaml`` lists what may survive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from taxiway.paths import ROOT

LEAST_KILLED = 0.9
KILLED = {"killed", "timeout", "segfault"}
"""What mutmut says of a mutant that is noticed: a test fails, or doesn't end, or its process dies."""


def main(jobs: str, root: Path = ROOT) -> int:
    """Make all mutants, try each, and print those that survive.

    :param jobs: how many processes try mutants at once; empty for one a core
    :param root: the repository
    :return: 0 if at least :data:`LEAST_KILLED` of the mutants were killed
    """
    work = root / ".taxiway" / "mutants"
    shutil.rmtree(work, ignore_errors=True)
    # Python imports `taxiway` as it starts: it must find it where the mutants will be. mutmut knows code in `src` only.
    shutil.copytree(root / "plugins", work / "mutants" / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name, there in (("src", "plugins"), ("tests", "tests"), ("include", "include"), ("pyproject.toml",) * 2):
        (work / name).symlink_to(root / there)
    # What tests read beside the code; and a process that works in plugins/ looks for mutmut's settings there.
    (work / "mutants" / "plugins").symlink_to("src")
    for name, there in (("docs", "docs"), ("src/pyproject.toml", "pyproject.toml")):
        (work / "mutants" / name).symlink_to(root / there)
    done = subprocess.run(
        [Path(sys.executable).with_name("mutmut"), "run", *(["--max-children", jobs] if jobs else [])],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(work / "mutants" / "src")},
        check=False,
    )
    os.chdir(work)  # mutmut finds everything from here
    return done.returncode or report(yaml.safe_load((root / "tests" / "mutants" / "survivors.yaml").read_text()))


def report(may_survive: dict[str, list[str]]) -> int:
    """Print the survivors that may not survive, and how many mutants of each package were killed.

    :param may_survive: changed lines of code, by the reason why no test can notice the change
    """
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    listed = {line for lines in may_survive.values() for line in lines}
    survived, noticed = set(), dict[str, list[bool]]()
    for path in sorted(walk_mutatable_files()):
        mutants = SourceFileMutationData(path=path)
        mutants.load()
        for name, code in mutants.exit_code_by_key.items():
            status = status_by_exit_code[code]
            noticed.setdefault(path.parent.name, []).append(status in KILLED)
            if status in KILLED:
                continue
            diff = get_diff_for_mutant(name, path=path).splitlines()[2:]
            changed = " ".join(line[1:].strip() for line in diff if line.startswith("+"))
            survived.add(changed)
            if changed not in listed:
                print(f"\n{name}: {status}", *diff, sep="\n")
    for line in sorted(listed - survived):
        print(f"tests/mutants/survivors.yaml: no mutant survives that has {line!r}: take it out")
    for package, of_package in noticed.items():
        print(
            f"{package}: {sum(of_package)} of {len(of_package)} mutants killed, {sum(of_package) / len(of_package):.1%}"
        )
    every = [killed for of_package in noticed.values() for killed in of_package]
    print(
        f"together: {sum(every)} of {len(every)}, {sum(every) / len(every):.1%}; expected at least {LEAST_KILLED:.0%}"
    )
    return int(sum(every) < LEAST_KILLED * len(every))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
