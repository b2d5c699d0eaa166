"""The machine that the figures come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil


def describe(postgres_version: str) -> dict[str, object]:
    """Say what decides how fast things go here; nothing names the machine.

    :param postgres_version: of the server that was measured
    """
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "cpu": _cpu_model(),
        "system": platform.system(),
        "python": platform.python_version(),
        "postgres": postgres_version,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
