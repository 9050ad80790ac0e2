"""The noise levels of a schedule's steps, in the terms of the multistep samplers' papers."""

from __future__ import annotations

from typing import Any

import torch


class NoiseLevels:
    """Noise levels of the last `steps` of a scheduler's schedule. The arithmetic is that of diffusers, number by number."""

    def __init__(self, scheduler: Any, steps: int) -> None:
        self.config = scheduler.config
        self.whole = len(scheduler.timesteps)
        self.begin = self.whole - steps
        self.shares: list[tuple[torch.Tensor, torch.Tensor]] = [
            scheduler._sigma_to_alpha_sigma_t(sigma) for sigma in scheduler.sigmas
        ]  # of signal and noise
        # half the logarithm of the signal-to-noise ratio: the papers' lambda
        self._log_snr = [torch.log(signal) - torch.log(noise) for signal, noise in self.shares]

    @property
    def indexes(self) -> range:
        return range(self.begin, self.whole)

    def way(self, index: int) -> torch.Tensor:
        """Returns the papers' h: the distance from `index` to the next one."""
        return self._log_snr[index + 1] - self._log_snr[index]

    def ratio(self, index: int) -> torch.Tensor:
        """Returns the papers' r: the (negative) distance back to the previous output, in units of the step from `index` on."""
        return (self._log_snr[index - 1] - self._log_snr[index]) / self.way(index)

    def kept(self, index: int) -> torch.Tensor:
        """Returns the share of the latents that a step keeps."""
        return self.shares[index + 1][1] / self.shares[index][1]
