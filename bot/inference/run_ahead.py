"""A GPU works behind the thread that feeds it; this keeps the distance short."""

# torch is partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch

from bot.inference.transfers import Mark, new_mark

STEPS_AHEAD = 1  # enough to launch a step while the one before runs; more, and a cancel would come that many steps too late


class RunAhead:
    """Call `step` after each step was launched. On a CPU, where nothing runs behind, it does nothing."""

    def __init__(self, mark: Callable[[], Mark] | None) -> None:
        self._mark = mark
        self._marks: deque[Mark] = deque()

    @classmethod
    def on(cls, device: torch.device) -> RunAhead:
        return cls(new_mark if device.type == "cuda" else None)

    def step(self) -> None:
        """Wait until at most STEPS_AHEAD steps are under way."""
        if self._mark is None:
            return
        mark = self._mark()
        mark.record()
        self._marks.append(mark)
        while len(self._marks) > STEPS_AHEAD:
            self._marks.popleft().synchronize()

    def drain(self) -> None:
        """Wait until all is done that was launched."""
        if self._mark is None:
            return
        mark = self._mark()
        mark.record()
        mark.synchronize()
        self._marks.clear()
