"""Both model families in plain PyTorch, written from their papers and from the formulas in Stoa's headers, not from Stoa's
code. Weights, tokens and samples come from formulas that any language can compute: see README.md.
"""
import dataclasses
import math

import numpy
import torch
import torch.nn.functional as F


@dataclasses.dataclass(frozen=True)
class Model:
    family: str
    layers: int
    width: int
    heads: int
    key_value_heads: int
    head_width: int
    feed_forward_width: int
    vocabulary_size: int
    context_length: int
    tied_embedding: bool
    query_key_norm: bool = False
    norm_epsilon: float = 1e-5
    rope_theta: float = 10000.0


def parameter_shapes(m):
    """Name -> shape, in the order of the forward pass."""
    d, f, e = m.width, m.feed_forward_width, m.head_width
    q, kv = m.heads * e, m.key_value_heads * e
    gpt2 = m.family == "gpt2"
    shapes = {"embedding.weight": (m.vocabulary_size, d)}

    def add(name, weight, bias):
        shapes[name + ".weight"] = weight
        if gpt2:
            shapes[name + ".bias"] = (bias,)

    if gpt2:
        shapes["positions.weight"] = (m.context_length, d)
    for layer in range(m.layers):
        at = f"layers.{layer}."
        add(at + "attention_norm", (d,), d)
        add(at + "attention.query", (q, d), q)
        add(at + "attention.key", (kv, d), kv)
        add(at + "attention.value", (kv, d), kv)
        if m.query_key_norm:
            shapes[at + "attention.query_norm.weight"] = (e,)
            shapes[at + "attention.key_norm.weight"] = (e,)
        add(at + "attention.output", (d, q), d)
        add(at + "feed_forward_norm", (d,), d)
        if not gpt2:
            shapes[at + "feed_forward.gate.weight"] = (f, d)
        add(at + "feed_forward.up", (f, d), f)
        add(at + "feed_forward.down", (d, f), d)
    add("final_norm", (d,), d)
    if not m.tied_embedding:
        shapes["head.weight"] = (m.vocabulary_size, d)
    return shapes


def initial_weight(name, shape):
    """0.2 sin(0.37 i^2 + 0.7 i + c), c the sum of the name's bytes modulo 97, i the row-major index; one more for the
    weights of norms. Computed in double and rounded to float. (Without the square every matrix would have rank two.)"""
    i = numpy.arange(math.prod(shape), dtype=numpy.float64)
    value = 0.2 * numpy.sin(0.37 * i * i + 0.7 * i + sum(name.encode()) % 97)
    if name.endswith("norm.weight"):
        value += 1.0
    return torch.from_numpy(value.astype(numpy.float32)).reshape(shape)


def initial_weights(m, dtype):
    return {name: initial_weight(name, shape).to(dtype).requires_grad_() for name, shape in parameter_shapes(m).items()}


def sample_tokens(m, samples):
    """Sample s is the T + 1 tokens (7 i^2 + 3 i + 11 s) mod V, i = 0..T: inputs are the first T, targets the last T."""
    i = torch.arange(m.context_length + 1)
    return torch.stack([(7 * i * i + 3 * i + 11 * s) % m.vocabulary_size for s in samples])


@dataclasses.dataclass(frozen=True)
class Documents:
    """The lengths of each sample's documents: a token sees its own document only, where positions count from 0."""
    lengths: list

    def numbers(self):
        """[B, T]: which document of its sample a token belongs to."""
        return torch.stack([torch.arange(len(row)).repeat_interleave(torch.tensor(row)) for row in self.lengths])

    def positions(self):
        """[B, T]"""
        return torch.stack([torch.cat([torch.arange(length) for length in row]) for row in self.lengths])

    def visible(self):
        """[B, 1, T, T]: block-diagonal and causal."""
        number = self.numbers()
        return ((number[:, :, None] == number[:, None, :]) & torch.ones(number.shape[1:] * 2).tril().bool())[:, None]


def norm(m, w, name, x):
    if m.family == "gpt2":
        return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], m.norm_epsilon)
    return rms_norm(x, w[name + ".weight"], m.norm_epsilon)


def rms_norm(x, weight, epsilon):
    return weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon))


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def rotate(m, x, documents):
    """Half-split rotary embedding of x [B, heads, T, E], as in Hugging Face's Llama."""
    half = m.head_width // 2
    frequency = m.rope_theta ** (-torch.arange(half, dtype=torch.float64) * 2 / m.head_width)
    positions = documents.positions()[:, None] if documents else torch.arange(x.shape[-2])
    angle = positions.double()[..., None] * frequency
    cos = torch.cat((angle.cos(), angle.cos()), -1).to(x.dtype if x.dtype == torch.float64 else torch.float32)
    sin = torch.cat((angle.sin(), angle.sin()), -1).to(cos.dtype)
    rotated = torch.cat((-x[..., half:], x[..., :half]), -1)
    return (x * cos + rotated * sin).to(x.dtype)


def attention(m, w, at, x, explicit, documents):
    b, t, _ = x.shape

    def heads(name, count):
        return linear(w, at + name, x).reshape(b, t, count, m.head_width).transpose(1, 2)

    q, k, v = heads("query", m.heads), heads("key", m.key_value_heads), heads("value", m.key_value_heads)
    if m.query_key_norm:
        q = rms_norm(q.to(x.dtype), w[at + "query_norm.weight"], m.norm_epsilon).to(v.dtype)
        k = rms_norm(k.to(x.dtype), w[at + "key_norm.weight"], m.norm_epsilon).to(v.dtype)
    if m.family == "llama":
        q, k = rotate(m, q, documents), rotate(m, k, documents)
    group = m.heads // m.key_value_heads
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    if explicit:
        scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(m.head_width)
        mask = torch.ones(t, t, dtype=torch.bool).triu(1)
        o = scores.masked_fill(mask, -math.inf).softmax(-1).to(v.dtype) @ v
    elif documents:
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=documents.visible())
    else:
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return linear(w, at + "output", o.transpose(1, 2).reshape(b, t, m.heads * m.head_width))


def feed_forward(m, w, at, x):
    if m.family == "gpt2":
        return linear(w, at + "down", F.gelu(linear(w, at + "up", x), approximate="tanh"))
    return linear(w, at + "down", F.silu(linear(w, at + "gate", x)) * linear(w, at + "up", x))


def logits(m, w, tokens, bf16=False, explicit=False, documents=None):
    """[B, T, V] in fp32 at least. With bf16, products take operands rounded to bf16 (torch.autocast) and give bf16, the
    last one fp32; norms, the residual stream and the loss are fp32."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        x = w["embedding.weight"][tokens]
        if m.family == "gpt2":
            x = x + w["positions.weight"][documents.positions() if documents else slice(tokens.shape[1])]
        for layer in range(m.layers):
            at = f"layers.{layer}."
            x = x + attention(m, w, at + "attention.", norm(m, w, at + "attention_norm", x), explicit, documents)
            x = x + feed_forward(m, w, at + "feed_forward.", norm(m, w, at + "feed_forward_norm", x))
        x = norm(m, w, "final_norm", x)
    head = w["embedding.weight" if m.tied_embedding else "head.weight"]
    if bf16:
        x, head = x.bfloat16().float(), head.bfloat16().float()
    return F.linear(x, head)


def losses(m, w, sequences, **options):
    """Mean cross entropy in nats, and the mean of the squared log-sum-exp that the z-loss weighs."""
    y = logits(m, w, sequences[:, :-1], **options)
    return F.cross_entropy(y.flatten(0, 1), sequences[:, 1:].flatten()), y.logsumexp(-1).square().mean()
