"""Is there an NVIDIA GPU? Asked before torch is imported, which takes seconds."""

from __future__ import annotations

import ctypes
import sys


def cuda_device_count() -> int:
    """GPUs that the driver sees; 0 without a driver (CUDA driver API: cuInit, cuDeviceGetCount)."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value
