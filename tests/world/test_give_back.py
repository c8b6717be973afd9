"""Freed buffers of a mebibyte leave the process."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, psutil
from carscale.world import give_back_large_buffers
give_back_large_buffers()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def take(mib):
    block = libc.malloc(mib * 2**20)
    ctypes.memset(block, 1, mib * 2**20)
    return block
libc.free(take(24))  # after this, glibc would keep blocks of up to 24 MiB
before = psutil.Process().memory_full_info().uss
blocks = [take(8) for _ in range(10)]
top = take(8)  # keeps the heap from shrinking
for block in blocks:
    libc.free(block)
print((psutil.Process().memory_full_info().uss - before) / 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators need no telling")
def test_freed_buffers_leave_the_process():
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) < 20  # the one that is kept
    broken = SCRIPT.replace("give_back_large_buffers()\nlibc", "libc")
    answer = subprocess.run(
        [sys.executable, "-c", broken], capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) > 60  # what it is for
