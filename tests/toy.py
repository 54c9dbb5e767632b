"""A tiny real model on disk: a byte-level tokenizer with a chat template, and a two-layer network with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.toy_words import SPECIAL, TEMPLATE, core


def tokenizer() -> PreTrainedTokenizerFast:
    found = PreTrainedTokenizerFast(tokenizer_object=core(), eos_token="<|im_end|>", bos_token="<|im_start|>")
    found.add_special_tokens({"additional_special_tokens": SPECIAL})
    found.chat_template = TEMPLATE
    return found


def make(folder: Path, family: str = "llama", width: int = 32) -> str:
    """Writes the model (256 bytes and two marks, two layers) and returns the folder's name."""
    words = tokenizer()
    torch.manual_seed(0)
    if family == "llama":
        config = LlamaConfig(vocab_size=len(words), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True, initializer_range=0.1)
        network = LlamaForCausalLM(config)
    else:
        network = GPT2LMHeadModel(GPT2Config(vocab_size=len(words), n_embd=width, n_layer=2, n_head=4, n_positions=2048, initializer_range=0.1))
    network.config.eos_token_id = network.generation_config.eos_token_id = words.eos_token_id
    network.generation_config.pad_token_id = words.eos_token_id
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)
