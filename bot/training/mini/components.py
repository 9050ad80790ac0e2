"""The latent space: principal components of 16 × 16 squares of pixels.

A VAE that must find its own latents first spends hours of a CPU on it, and the denoiser has to wait. The components of the
artist's pictures are known in seconds, are the best linear ones there are, and stay: encoder, decoder and denoiser all train at
once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bot.training.arrays import to_tensor
from bot.training.mini.dataset import Pixels

SAMPLE = 1024  # pictures; their squares are some hundred for each entry of a covariance row


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """A strided convolution: weight (channels, 3, side, side) and bias (channels,)."""

    weight: Tensor
    bias: Tensor

    def project(self, picture: Tensor) -> Tensor:
        """Returns (n, 3, height, width) in -1..1 as latents (n, channels, height / side, width / side)."""
        weight, bias = self.weight.to(picture.device), self.bias.to(picture.device)
        return functional.conv2d(picture, weight, bias, stride=weight.shape[-1])


def fit_components(pictures: Pixels, channels: int, side: int) -> Components:
    """Returns the `channels` strongest components of at most SAMPLE pictures, whose sides are multiples of `side`.

    A channel's deviation is the fourth root of its variance, all scaled to a mean variance of 1: fully whitened, faint detail
    would weigh as much as a picture's colours, and unscaled it would drown in the first noise.
    """
    squares = _squares(to_tensor(pictures[:SAMPLE]), side).double().numpy()
    mean = squares.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov((squares - mean).T))
    variances, vectors = variances[::-1][:channels], vectors[:, ::-1][:, :channels]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(channels)])  # eigh leaves signs open
    scale = np.sqrt(channels / np.sqrt(variances).sum()) * variances**-0.25
    matrix = (vectors * scale).T
    weight = torch.from_numpy(matrix).float().view(channels, 3, side, side)
    return Components(weight=weight, bias=torch.from_numpy(-matrix @ mean).float())


def _squares(picture: Tensor, side: int) -> Tensor:
    """Returns (n, 3, height, width) as (squares, 3 * side * side), colour by colour."""
    return functional.unfold(picture, side, stride=side).transpose(1, 2).reshape(-1, 3 * side * side)
