"""Which work a GPU prefers."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest
import torch

from bot.inference.streams import FIRST, LAST, put_first


def test_on_a_gpu_the_thread_gets_a_stream_before_the_previews_once_the_weights_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []
    stream, device = create_autospec(torch.cuda.Stream, instance=True), torch.device("cuda", 0)

    def new(where: torch.device, priority: int) -> object:
        done.append((where, priority))
        return stream

    monkeypatch.setattr(torch.cuda, "synchronize", lambda where: done.append(where))
    monkeypatch.setattr(torch.cuda, "Stream", new)
    monkeypatch.setattr(torch.cuda, "set_stream", done.append)
    put_first(device)

    assert done == [device, (device, FIRST), stream]
    assert FIRST < LAST


def test_without_a_gpu_nothing_is_asked_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cuda, "Stream")

    put_first(torch.device("cpu"))
