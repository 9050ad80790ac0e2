"""Classifies torch's errors: too little memory, a lost device, or something else."""

from __future__ import annotations

import gc

import torch

from bot.errors import GenerationError
from bot.messages import translatable

NO_MEMORY = translatable("This doesn't fit into my GPU's memory. Choose a smaller size.")

# How drivers, torch and its libraries say it; not every one of them raises torch.OutOfMemoryError.
OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)
# After these a CUDA context stays broken for the life of the process (CUDA Runtime API, cudaError).
DEVICE_LOST = ("cuda error", "cuda driver error", "cudnn error", "cublas_status_", "cudnn_status_", "device-side assert")


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in OUT_OF_MEMORY)


def is_device_lost(error: BaseException) -> bool:
    """Returns whether only a new process helps."""
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.AcceleratorError) or any(text in str(error).lower() for text in DEVICE_LOST)


def for_the_caller(error: Exception, *, retryable: bool = False) -> Exception:
    """Returns a sentence if memory ran out, else the error as it is. `retryable`: alone on the device it may fit."""
    return GenerationError(NO_MEMORY, retryable=retryable) if is_out_of_memory(error) else error


def free_memory() -> None:
    """Free what no living tensor uses. Call it outside the `except` block: a caught error keeps its frames' tensors alive."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
