"""What is wrong with an installation, and what mends it: checks that look, and change nothing.

Nothing here needs Airflow or a package, so that it works when they don't.

- check: what a check is, how checks are made one after the other, and how their findings are written
- machine: the checks of Python, packages, disk and memory
"""
