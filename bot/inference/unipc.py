"""UniPC (arXiv:2302.04867) with its numbers on the CPU, where the GPU is not waited for."""

# diffusers is partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler  # pyright: ignore[reportPrivateImportUsage]

HALF = 0.5  # the paper's share of the last difference, of order 1 in the corrector and 2 in the predictor


class UniPC(UniPCMultistepScheduler):
    """diffusers' own sends every number of a step to the device, which waits six times and launches 120 operations on single
    numbers. Here tensors meet them as numbers; on the CPU the bits are the same, and in float16 on a GPU the numbers are no
    longer rounded to it.

    Only what SDXL is drawn with: up to order 2, B2(h), predictions of the clean latents. Anything else is left to diffusers.
    """

    def multistep_uni_p_bh_update(
        self,
        model_output: torch.Tensor,
        *args: Any,
        sample: Any = None,
        order: Any = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """The predictor: from the latents of this step to those of the next."""
        if not self._is_simple(order):
            parent: Any = super()
            return parent.multistep_uni_p_bh_update(model_output, *args, sample=sample, order=order, **kwargs)
        index, outputs = self.step_index, self._outputs()
        residual = None if order == 1 else HALF * self._difference(index, outputs[-2], outputs[-1])
        return self._moved(index, sample, outputs[-1], residual).to(sample.dtype)

    def multistep_uni_c_bh_update(
        self,
        this_model_output: torch.Tensor,
        *args: Any,
        last_sample: Any = None,
        this_sample: Any = None,
        order: Any = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """The corrector: the latents of this step once more, now that the model has seen them."""
        if not self._is_simple(order):
            parent: Any = super()
            return parent.multistep_uni_c_bh_update(
                this_model_output, *args, last_sample=last_sample, this_sample=this_sample, order=order, **kwargs
            )
        before, outputs = self.step_index - 1, self._outputs()
        change = this_model_output - outputs[-1]
        if order == 1:
            residual = HALF * change
        else:
            first, second = self._shares(before).to(last_sample.dtype)
            residual = first * self._difference(before, outputs[-2], outputs[-1]) + second * change
        return self._moved(before, last_sample, outputs[-1], residual).to(last_sample.dtype)

    def _is_simple(self, order: Any) -> bool:
        """`step` gives the order and the tensors by name."""
        config: Any = self.config
        return bool(config.predict_x0) and config.solver_type == "bh2" and config.solver_p is None and order <= 2

    def _outputs(self) -> Sequence[Any]:
        """Clean latents as the last steps saw them, the latest last."""
        return self.model_outputs

    def _log_snr(self, index: int) -> torch.Tensor:
        """Half the logarithm of the signal-to-noise ratio: the paper's lambda."""
        alpha, sigma = self._sigma_to_alpha_sigma_t(self.sigmas[index])
        return torch.log(alpha) - torch.log(sigma)

    def _way(self, index: int) -> torch.Tensor:
        """The paper's h: from `index` to the one behind it."""
        return self._log_snr(index + 1) - self._log_snr(index)

    def _ratio(self, index: int) -> torch.Tensor:
        """The paper's r: how far back the output before lies, in steps like that from `index` on."""
        return (self._log_snr(index - 1) - self._log_snr(index)) / self._way(index)

    def _difference(self, index: int, earlier: torch.Tensor, latest: torch.Tensor) -> torch.Tensor:
        return (earlier - latest) / self._ratio(index)

    def _shares(self, index: int) -> torch.Tensor:
        """Of the earlier difference and of the latest, so that the corrector is of order 2: two linear equations."""
        ratio, back = self._ratio(index), -self._way(index)
        growth = torch.expm1(back)
        first = growth / back - 1
        second = first / back - HALF
        points = torch.stack([ratio, torch.ones(())])
        powers = torch.stack([torch.ones(2), points])
        return torch.linalg.solve(powers, torch.stack([first / growth, second * 2 / growth]))

    def _moved(self, index: int, sample: torch.Tensor, clean: torch.Tensor, residual: torch.Tensor | None) -> torch.Tensor:
        """From the latents at `index` to those behind it."""
        alpha, sigma = self._sigma_to_alpha_sigma_t(self.sigmas[index + 1])
        _, sigma_before = self._sigma_to_alpha_sigma_t(self.sigmas[index])
        growth = torch.expm1(-self._way(index))
        moved = sigma / sigma_before * sample - alpha * growth * clean
        return moved if residual is None else moved - alpha * growth * residual
