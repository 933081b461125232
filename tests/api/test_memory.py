"""Freed memory is given back to the system."""

import ctypes
import sys

import psutil
import pytest

from sigmasight_api.memory import give_back

BLOCKS, BYTES = 100_000, 1_000


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_trim is glibc's")
def test_what_lies_below_memory_in_use_is_given_back_too() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    blocks = [libc.malloc(BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BYTES)
    kept = blocks.pop()
    for block in blocks:
        libc.free(block)
    held = resident()
    give_back()
    assert held - resident() > BLOCKS * BYTES // 2
    libc.free(kept)
