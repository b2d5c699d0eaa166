"""Runs a module as ``python -m`` does: given the Python that it starts others by, the module and its arguments."""

from __future__ import annotations

import os
import runpy
import sys

if __name__ == "__main__":
    sys.executable, module = sys.argv[1:3]
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as Python has it
    del sys.argv[1:3]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
