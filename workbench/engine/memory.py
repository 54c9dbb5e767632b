"""This process's memory: the most it has held, and giving back what it holds for nothing."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch


def peak_bytes() -> int:
    """The most this process has held: on the device where there is one, else in memory (Linux)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))


def give_back() -> None:
    """Returns free pages between live blocks to the system. Rows of ever new lengths leave gaps that grow with every step."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; elsewhere nothing happens
    if trim is not None:
        trim(0)
