#!/usr/bin/env python3
"""export_peer.py [MIB] [ROUNDS]: what export_bench is compared with. safetensors' save_file and transformers' save_pretrained of a model
in memory, and raw writes of the same bytes, all followed by fsync, in the current folder. Prints medians."""
import os
import shutil
import statistics
import sys
import time

import torch
import transformers
from safetensors.torch import save_file

mebibytes, rounds = (int(word) for word in (sys.argv[1:] + ["1024", "5"][len(sys.argv) - 1:]))
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
layers = max(1, round((mebibytes * 2**20 / 4 - 2 * 32003 * 1536) / 28.3e6))
config = transformers.LlamaConfig(hidden_size=1536, intermediate_size=4096, num_attention_heads=12, num_hidden_layers=layers,
                                  vocab_size=32003)
model = transformers.AutoModelForCausalLM.from_config(config)
size = sum(parameter.numel() for parameter in model.parameters()) * 4 / 2**20


def synced(write, path):
    begin = time.perf_counter()
    write()
    for folder, _, files in os.walk(path) if os.path.isdir(path) else [(".", None, [path])]:
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                os.fsync(file.fileno())
    seconds = time.perf_counter() - begin
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    return size / seconds


def write_raw():
    chunk = bytes(2**22)
    with open("raw", "wb", buffering=0) as file:
        for _ in range(int(size) // 4):
            file.write(chunk)


rates = {"raw, through the page cache": [], "save_file": [], "save_pretrained": []}
for _ in range(rounds):
    rates["raw, through the page cache"].append(synced(write_raw, "raw"))
    rates["save_file"].append(synced(lambda: save_file(dict(model.state_dict()), "peer.safetensors"), "peer.safetensors"))
    rates["save_pretrained"].append(synced(lambda: model.save_pretrained("peer"), "peer"))
for name, seen in rates.items():
    print(f"{name:<30}{size:8.0f} MiB{statistics.median(seen):10.0f} MiB/s, fsync")
