"""Tells whether there is an NVIDIA GPU, and how large, without importing torch, which takes seconds."""

from __future__ import annotations

import ctypes
import sys


def cuda_device_count() -> int:
    """Returns how many GPUs the driver sees; 0 without a driver (CUDA driver API: cuInit, cuDeviceGetCount)."""
    try:
        driver = _driver()
        count = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def cuda_memory(index: int = 0) -> int | None:
    """Returns a GPU's total bytes, used or not; None if the driver does not know it (CUDA driver API: cuDeviceTotalMem)."""
    try:
        driver = _driver()
        device, size = ctypes.c_int(0), ctypes.c_size_t(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGet(ctypes.byref(device), index) != 0:
            return None
        if driver.cuDeviceTotalMem_v2(ctypes.byref(size), device) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return size.value


def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
