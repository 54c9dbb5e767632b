"""One role's optimiser: schedule, clipping, and a state that can be saved and put back exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from workbench.engine.backbone import Backbone
from workbench.errors import WorkbenchError


class Stepper:
    """AdamW over one role's tensors; call `backward` for every micro-batch inside the role, then `step`."""

    def __init__(self, backbone: Backbone, role: str, lr: float, total: int, warmup: float = 0.05, max_grad: float = 1.0) -> None:
        self.role, self.named = role, backbone.named_parameters(role)
        self.lr, self.total, self.rising, self.max_grad = lr, max(total, 1), math.ceil(warmup * total), max_grad
        # eps 1e-5 as in the original RLHF code: early updates are less aggressive than with 1e-8.
        self.optimiser = torch.optim.AdamW([p for _, p in self.named], lr=lr, eps=1e-5, weight_decay=0.0, fused=True)
        self.done = 0

    def rate(self) -> float:
        """The learning rate of the next update: a linear rise, then a linear fall to a tenth."""
        if self.done < self.rising:
            return self.lr * (self.done + 1) / self.rising
        left = 1 - (self.done - self.rising) / max(1, self.total - self.rising)
        return self.lr * max(0.1, left)

    def step(self) -> float:
        """One update from the gradients gathered; returns their length before clipping. Not finite: skipped."""
        tensors = [p for _, p in self.named]
        if all(p.grad is None for p in tensors):
            raise WorkbenchError(f"no gradient reached role {self.role!r}; forward and backward belong inside one block of it")
        length = float(torch.nn.utils.clip_grad_norm_(tensors, self.max_grad or math.inf))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        if math.isfinite(length):
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.done += 1
        return length

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's memory by parameter name."""
        found = {"done": torch.tensor(self.done)}
        for name, parameter in self.named:
            for key, value in self.optimiser.state.get(parameter, {}).items():
                found[f"{name}|{key}"] = value.detach()
        return found

    def set_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self.done = int(tensors["done"])
        for name, parameter in self.named:
            found = {key.split("|")[1]: value.clone() for key, value in tensors.items() if key.split("|")[0] == name}
            if found:
                self.optimiser.state[parameter] = found
