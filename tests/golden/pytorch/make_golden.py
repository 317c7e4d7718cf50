#!/usr/bin/env python3
"""Makes gradients.json and curves.json: see README.md. Needs PyTorch (CPU) and NumPy, and takes about a minute.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch numpy --index-url https://download.pytorch.org/whl/cpu \\
        --extra-index-url https://pypi.org/simple
    /tmp/torch/bin/python tests/golden/pytorch/make_golden.py
"""
import dataclasses
import json
import math
import pathlib
import re

import torch

import model
from model import Documents, Model

HERE = pathlib.Path(__file__).parent
TORCH = torch.__version__.split("+")[0]

GQA = Model("llama", 2, 40, 5, 1, 8, 72, 131, 33, tied_embedding=False)
# Head width times heads is not the width here.
QK_NORM = Model("llama", 2, 40, 6, 2, 8, 56, 131, 33, tied_embedding=True, query_key_norm=True)
MANY_HEADS = Model("llama", 3, 40, 5, 5, 8, 72, 131, 33, tied_embedding=False, rope_theta=500000.0)
GPT2 = Model("gpt2", 2, 40, 5, 5, 8, 160, 131, 33, tied_embedding=True)
GPT2_ODD = Model("gpt2", 1, 33, 3, 3, 11, 65, 67, 17, tied_embedding=True)

# Name, model, samples of the one micro-batch, z-loss coefficient.
GRADIENTS = [
    ("llama_untied_grouped_queries", GQA, 3, 0.0),
    ("llama_tied_query_key_norm_z_loss", QK_NORM, 3, 1e-3),
    ("llama_as_many_key_value_heads", MANY_HEADS, 2, 0.0),
    ("gpt2", GPT2, 3, 0.0),
    ("gpt2_odd", GPT2_ODD, 1, 0.0),
]

# With borders at, before and behind those of tiles of 64 tokens.
LONG_GQA = dataclasses.replace(GQA, context_length=70)
LONG_GPT2 = dataclasses.replace(GPT2, context_length=70)

# Name, model, z-loss coefficient, lengths of the documents of each sample.
DOCUMENT_GRADIENTS = [
    ("llama_documents", LONG_GQA, 1e-3, [[64, 6], [1, 69], [3, 33, 29, 5]]),
    ("gpt2_documents", LONG_GPT2, 0.0, [[63, 2, 5], [70], [1, 1, 68]]),
]

CURVES = [
    ("llama_untied_grouped_queries", GQA, 0.0),
    ("llama_tied_query_key_norm_z_loss", QK_NORM, 1e-3),
    ("gpt2", GPT2, 0.0),
]
TRAINING = {
    "steps": 60, "micro_batch": 3, "micro_batches": 2, "learning_rate": 5e-3, "warmup_steps": 10, "final_fraction": 0.1,
    "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "gradient_clip": 1.0,
}


def rounded(value):
    return float(f"{value:.9g}")


def gradient_case(name, m, samples, z_loss, lengths=None):
    w = model.initial_weights(m, torch.float64)
    documents = Documents(lengths) if lengths else None
    loss, z = model.losses(m, w, model.sample_tokens(m, range(samples)), documents=documents)
    (loss + z_loss * z).backward()
    parameters = {}
    for parameter, value in w.items():
        g = value.grad.flatten()
        parameters[parameter] = {
            "shape": list(value.shape),
            "sum": rounded(g.sum().item()),
            "sum_of_squares": rounded(g.square().sum().item()),
            "elements": [rounded(g[(7919 * k + 13) % g.numel()].item()) for k in range(16)],
        }
    return {"name": name, "model": dataclasses.asdict(m), "micro_batch": samples, "z_loss": z_loss,
            **({"documents": lengths} if lengths else {}), "loss": rounded(loss.item()),
            "mean_squared_lse": rounded(z.item()), "parameters": parameters}


def learning_rate(step):
    """Of step 1..steps: a linear warmup, then half a cosine down to final_fraction of the peak at the last step."""
    t, peak = TRAINING, TRAINING["learning_rate"]
    if step <= t["warmup_steps"]:
        return peak * step / t["warmup_steps"]
    done = (step - t["warmup_steps"]) / (t["steps"] - t["warmup_steps"])
    final = t["final_fraction"] * peak
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * done))


def train(m, z_loss, dtype, **options):
    """Loss (without the z term) and gradient norm (before clipping) of each step."""
    t = TRAINING
    w = model.initial_weights(m, dtype)
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in w.values() if p.dim() == 2], "weight_decay": t["weight_decay"]},
         {"params": [p for p in w.values() if p.dim() != 2], "weight_decay": 0.0}],
        betas=(t["beta1"], t["beta2"]), eps=t["epsilon"], foreach=False)
    curve, norms = [], []
    for step in range(1, t["steps"] + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad()
        step_loss = 0.0
        for micro_batch in range(t["micro_batches"]):
            first = ((step - 1) * t["micro_batches"] + micro_batch) * t["micro_batch"]
            sequences = model.sample_tokens(m, range(first, first + t["micro_batch"]))
            loss, z = model.losses(m, w, sequences, **options)
            ((loss + z_loss * z) / t["micro_batches"]).backward()
            step_loss += loss.item() / t["micro_batches"]
        norms.append(torch.nn.utils.clip_grad_norm_(w.values(), t["gradient_clip"], foreach=False).item())
        optimizer.step()
        curve.append(step_loss)
    return curve, norms


def furthest(a, b):
    return max(abs(x - y) for x, y in zip(a, b))


def curve_case(name, m, z_loss):
    exact, _ = train(m, z_loss, torch.float64)
    fp32, norms = train(m, z_loss, torch.float32)
    bf16, bf16_norms = train(m, z_loss, torch.float32, bf16=True)
    other, _ = train(m, z_loss, torch.float32, bf16=True, explicit=True)
    print(f"{name}: loss {fp32[0]:.4f} -> {fp32[-1]:.4f}, norm {norms[0]:.3f} -> {norms[-1]:.3f}; "
          f"fp32 from fp64 {furthest(fp32, exact):.2g}, bf16 from fp32 {furthest(bf16, fp32):.2g}, "
          f"bf16 from bf16 with other attention {furthest(bf16, other):.2g}")
    return {
        "name": name, "model": dataclasses.asdict(m), "z_loss": z_loss,
        "fp32": {"loss": [rounded(x) for x in fp32], "gradient_norm": [rounded(x) for x in norms],
                 "furthest_from_fp64": rounded(furthest(fp32, exact))},
        "bf16": {"loss": [rounded(x) for x in bf16], "gradient_norm": [rounded(x) for x in bf16_norms],
                 "furthest_from_fp32": rounded(furthest(bf16, fp32)),
                 "furthest_from_other_attention": rounded(furthest(bf16, other))},
    }


def write(name, document):
    text = json.dumps(document, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)  # a list of numbers on one line
    (HERE / name).write_text(text + "\n")


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cases = [gradient_case(*case) for case in GRADIENTS]
    cases += [gradient_case(name, m, len(lengths), z_loss, lengths)
              for name, m, z_loss, lengths in DOCUMENT_GRADIENTS]
    write("gradients.json", {"version": 1, "torch": TORCH, "cases": cases})
    write("curves.json", {"version": 1, "torch": TORCH, "training": TRAINING,
                          "learning_rate": [rounded(learning_rate(s)) for s in range(1, TRAINING["steps"] + 1)],
                          "cases": [curve_case(*case) for case in CURVES]})


if __name__ == "__main__":
    main()
