"""A scalar on top of hidden states: what a reward or value model adds to its adapter."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """A scalar per hidden state, in fp32; `mean` and `spread` turn raw scores into calibrated ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., d) -> (...), calibrated."""
        raw = self.linear(hidden.float()).squeeze(-1)
        return (raw - self.mean) / self.spread

    def calibrate(self, mean: float, spread: float) -> None:
        self.mean.fill_(mean)
        self.spread.fill_(spread)

    def fold(self) -> None:
        """Moves the calibration into the weights, so that training moves calibrated values."""
        with torch.no_grad():
            self.linear.bias.copy_((self.linear.bias - self.mean) / self.spread)
            self.linear.weight.div_(self.spread)
        self.calibrate(0.0, 1.0)
