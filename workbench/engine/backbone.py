"""One frozen base, small roles on it: LoRA adapters and scalar heads. The only file that knows PEFT."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.engine import models
from workbench.engine.batches import Padded
from workbench.chat import Chat
from workbench.engine.checkpoints import write_whole
from workbench.engine.fused import Reading, read
from workbench.engine.heads import Head
from workbench.engine.layout import layout_of
from workbench.engine.streams import FastStream, PlainStream
from workbench.engine.trunk import Adapter, Pair, Trunk, fits
from workbench.errors import AdapterError, WorkbenchError

PLACE = re.compile(r"layers\.(\d+)\.\w+\.(\w+)\.lora_(A|B)")


class Lower(NamedTuple):
    """States (b, t, d) after the lowest `count` layers."""

    states: Tensor | None
    count: int


class Backbone:
    """The base model loaded once; `role(name)` decides which adapter is active."""

    def __init__(self, model: str, precision: str = "auto", device: torch.device | None = None) -> None:
        self.model, self.precision = model, precision
        self.base = models.load_base(model, precision, device)
        self.chat = Chat(models.load_tokenizer(model), self.base.generation_config)
        self.device = self.base.get_input_embeddings().weight.device
        self.trunk = Trunk(self.base) if fits(self.base) else None
        self.width: int = self.base.get_input_embeddings().embedding_dim
        self.peft: PeftModel | None = None
        self.heads: dict[str, Head] = {}
        self.active: str | None = None
        self._drops = self._trains = False
        self._fused: Adapter | None = None  # of the active role, while nothing learns
        self._named: dict[str, list[tuple[str, nn.Parameter]]] = {}

    # --- roles

    @contextmanager
    def role(self, name: str, train: bool = False, head: str = "") -> Iterator[None]:
        """Inside, the adapter of this role is active ("base": none). Forward and backward belong inside the same block:

        a switch between them makes the gradient silently zero, with checkpointing silently wrong. So blocks do not nest.
        With `train`, gradients reach the role's tensors, and those of the head of the role `head`.
        """
        if self.active is not None:
            raise WorkbenchError(f"role {name!r} was asked for inside role {self.active!r}; leave the first block before")
        self.active, self._trains = name, train
        try:
            if name == "base":
                with self._no_adapter():
                    yield
                return
            if name not in self.roles():
                raise AdapterError(f"no role {name!r} is loaded; there are {', '.join(self.roles()) or 'none'}")
            self.peft.base_model.set_adapter(name)
            self._freeze(*((name, head) if train else ()))
            self._drop_inputs(name, train)
            yield
        finally:
            self.active = self._fused = None
            self._freeze()
            self._drop_inputs(name, False)

    @contextmanager
    def _no_adapter(self) -> Iterator[None]:
        if self.peft is None:
            yield
        else:
            with self.peft.disable_adapter():
                self._freeze()
                yield

    def _freeze(self, *except_roles: str) -> None:
        # PEFT's set_adapter and disable_adapter switch requires_grad of their own accord; say it outright each time.
        for role in {*self.roles(), *self.heads}:
            for _, parameter in self.named_parameters(role):
                parameter.requires_grad_(role in except_roles)

    def _drop_inputs(self, role: str, train: bool) -> None:
        # Only the adapter's own dropout is ever switched on; the base's stays off, or PPO's first ratio would not be 1.
        self._drops = train and role in self.roles() and self.peft.peft_config[role].lora_dropout > 0
        for module in self.base.modules():
            if isinstance(module, LoraLayer) and role in module.lora_dropout:
                module.lora_dropout[role].train(train)

    def roles(self) -> list[str]:
        return list(self.peft.peft_config) if self.peft else []

    def named_parameters(self, role: str) -> list[tuple[str, nn.Parameter]]:
        """A role's trainable tensors by name: its adapter, then its head if it has one."""
        if role not in self._named:
            mark = f".{role}."
            found = [(n.replace(mark, "."), p) for n, p in self.peft.named_parameters() if mark in n and "lora_" in n]
            head = self.heads.get(role)
            self._named[role] = found + [(f"head.{n}", p) for n, p in head.named_parameters()] if head else found
        return self._named[role]

    def _attach(self, role: str, config: LoraConfig) -> None:
        if role in self.roles():
            self.drop(role)
        if self.peft is None:
            self.peft = get_peft_model(self.base, config, adapter_name=role)
        else:
            self.peft.add_adapter(role, config)
        self._named.pop(role, None)
        self._freeze()
        self._drop_inputs(role, False)

    def add(self, role: str, rank: int, alpha: int, dropout: float, seed: int, layers: int = 0) -> None:
        """A fresh adapter on the uppermost `layers` layers (0: on all); it changes nothing until it is trained."""
        targets = self._upper_linears(layers) if 0 < layers < self.base.config.num_hidden_layers else "all-linear"
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets, task_type="CAUSAL_LM")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._attach(role, config)

    def _upper_linears(self, layers: int) -> list[str]:
        first = self.base.config.num_hidden_layers - layers
        named = [(name, module) for name, module in self.base.named_modules() if getattr(module, "weight", None) is not None]
        return [name for name, module in named if module.weight.dim() == 2 and (at := re.search(r"\.(\d+)\.", name)) and int(at[1]) >= first]

    def add_head(self, role: str, seed: int, copy_of: str = "") -> None:
        """A scalar head: small random weights, N(0, 1/(d+1)^2), so that a reward model's first loss is ln 2; or a folded copy."""
        head = Head(self.width)
        if copy_of:
            head.load_state_dict(self.heads[copy_of].state_dict())
            head.fold()
        else:
            nn.init.normal_(head.linear.weight, std=1 / (self.width + 1), generator=torch.Generator().manual_seed(seed))
            nn.init.zeros_(head.linear.bias)
        self.heads[role] = head.to(self.device)
        self._named.pop(role, None)

    def copy(self, role: str, of: str) -> None:
        """A new role whose adapter starts as an exact copy of another's, without dropout."""
        old = self.peft.peft_config[of]
        self._attach(role, LoraConfig(r=old.r, lora_alpha=old.lora_alpha, lora_dropout=0.0, target_modules=old.target_modules, task_type="CAUSAL_LM"))
        set_peft_model_state_dict(self.peft, get_peft_model_state_dict(self.peft, adapter_name=of), adapter_name=role)

    def drop(self, role: str) -> None:
        """Forgets a role; a role that was never loaded is no error."""
        self.heads.pop(role, None)
        self._named.pop(role, None)
        if role in self.roles():
            if len(self.roles()) == 1:
                self.base = self.peft.unload()
                self.peft = None
            else:
                self.peft.delete_adapter(role)

    # --- weights in and out

    def tensors(self, role: str) -> dict[str, Tensor]:
        """Everything that makes the role, by name: for checkpoints."""
        found = {name: p.detach() for name, p in self.named_parameters(role)}
        if role in self.heads:
            found |= {f"head.{n}": b for n, b in self.heads[role].named_buffers()}
        return found

    def set_tensors(self, role: str, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, mine in self.tensors(role).items():
                mine.copy_(tensors[name])

    def save(self, role: str, folder: Path, about: Mapping[str, Any]) -> None:
        """Writes the adapter (PEFT format), its head, and what it is about; the folder appears whole or not at all."""

        def write(part: Path) -> None:
            self.peft.save_pretrained(str(part), selected_adapters=[role])
            for file in (part / role).iterdir():
                file.rename(part / file.name)
            (part / role).rmdir()
            if role in self.heads:
                save_file(self.heads[role].state_dict(), part / "head.safetensors")
            (part / "workbench.json").write_text(json.dumps({"model": self.model, **about}, indent=1))
            for noise in part.glob("README.md"):
                noise.unlink()  # PEFT's card is an empty form

        write_whole(folder, write)

    def load(self, role: str, folder: Path) -> None:
        """Reads an adapter written by `save`. Raises AdapterError when it is missing or made for another base."""
        try:
            about = json.loads((folder / "workbench.json").read_text())
            config = LoraConfig.from_pretrained(str(folder))
            weights = load_file(folder / "adapter_model.safetensors", device=str(self.device))
        except (OSError, ValueError) as fault:
            raise AdapterError(f"no whole adapter in {folder}: {fault}; train it again or choose another") from fault
        if about["model"] != self.model:
            raise AdapterError(f"{folder.name} was trained on {about['model']!r}, not on {self.model!r}; choose one of the same base")
        config.lora_dropout, config.inference_mode = 0.0, False
        self._attach(role, config)
        set_peft_model_state_dict(self.peft, weights, adapter_name=role)
        if (folder / "head.safetensors").exists():
            self.add_head(role, seed=0)
            self.heads[role].load_state_dict(load_file(folder / "head.safetensors", device=str(self.device)))

    # --- forward

    def states(self, ids: Tensor, attention: Tensor, where: Tensor, lower: Lower | None = None) -> Tensor:
        """Last hidden states (n, d) at the n places of `where` (b, t), row by row, under the active role.

        `attention` (b, t) is 1 where a token is real; `lower` is what `below` gave for the same rows.
        """
        if not self.is_fast():
            return self.hidden(ids, attention)[where]
        layout, lower = layout_of(ids, attention), lower or Lower(None, 0)
        x = self.trunk.embed(layout.take(ids)) if lower.states is None else layout.take(lower.states)
        x = self.trunk.forward(x, layout, self._adapter(), range(lower.count, len(self.trunk.layers)))
        return self.trunk.finish(layout.at(x, where))

    @torch.no_grad()
    def below(self, ids: Tensor, attention: Tensor, *roles: str) -> Lower | None:
        """States (b, t, d) that enter the first layer which any of these roles adapts: the frozen layers below are computed

        once for all of them. None where there is no such layer, or no fast path.
        """
        if self.trunk is None or not (count := min(layer for role in roles for layer, _ in self.pairs(role))):
            return None
        layout = layout_of(ids, attention)
        x = self.trunk.forward(self.trunk.embed(layout.take(ids)), layout, None, range(count))
        return Lower(x[layout.places], count)

    def stream(self, prompts: Padded, room: int) -> FastStream | PlainStream:
        """Rows (padded left) that grow by up to `room` tokens under the active role."""
        if self.is_fast():
            return FastStream(self.trunk, self._adapter(), prompts, room)
        return PlainStream(self, prompts, room)

    def is_fast(self) -> bool:
        """Whether the fast path knows this base; an adapter's dropout takes the plain path."""
        return self.trunk is not None and not self._drops

    def pairs(self, role: str) -> dict[tuple[int, str], Pair]:
        """A role's LoRA tensors by (layer, linear)."""
        found: dict[tuple[int, str], dict[str, Tensor]] = {}
        for name, parameter in self.named_parameters(role):
            if place := PLACE.search(name):
                layer, linear, side = place.groups()
                found.setdefault((int(layer), linear), {})[side] = parameter
        config = self.peft.peft_config[role]
        return {place: Pair(sides["A"], sides["B"], config.lora_alpha / config.r) for place, sides in found.items()}

    def _adapter(self) -> Adapter | None:
        if self.active == "base" or self.peft is None:
            return None
        if torch.is_grad_enabled() or self._trains:
            return self.trunk.fuse(self.pairs(self.active))
        self._fused = self._fused or self.trunk.fuse(self.pairs(self.active))
        return self._fused

    def hidden(self, ids: Tensor, attention: Tensor, cache: Any = None, positions: Tensor | None = None) -> Tensor:
        """Last hidden states (b, t, d) by transformers and PEFT: the plain path, and the reference for the fast one."""
        if positions is None:
            positions = (attention.cumsum(1) - 1).clamp(min=0)
        out = self.base.base_model(input_ids=ids, attention_mask=attention, position_ids=positions, past_key_values=cache, use_cache=cache is not None)
        return out.last_hidden_state

    def read(self, states: Tensor, ids: Tensor, temperature: float = 1.0) -> Reading:
        """What the frozen output layer makes of ids (n,) after states (n, d)."""
        output = self.base.get_output_embeddings()
        return read(states, output.weight, output.bias, ids, temperature)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., d) -> (..., v) by the frozen output layer; only ask for the positions that are needed."""
        return self.base.get_output_embeddings()(hidden)
