"""Models go out to transformers and come in from it, and compute the same on both sides.

Out: every family and variant is trained for three steps by `stoa run`, exported, and opened by transformers: the same logits, the
same loss of a text, the same greedy text, the same token ids; safetensors opens every file. In: models that transformers made and
saved, of one and of several files, in fp32, bf16 and fp16, are imported, compared the same way, and trained on."""
import json
import math
import os
import shutil
import subprocess

import byte_level
import numpy
import safetensors
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, Qwen3Config

from claims import BIN, SCRATCH, SOURCE, claim, stoa

torch.manual_seed(1)
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
MPI = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
VOCABULARY, CONTEXT = 307, 65
(SCRATCH / "configs/machines").mkdir(parents=True)
shutil.copy(SOURCE / "configs/machines/local.yaml", SCRATCH / "configs/machines")
PROMPT = "The colonnade was open"
ODD = "don't  stop\t\u54f2\u5b66 caf\u00e9 1234 \U0001f3db\n\n  x"

SUBJECTS, VERBS = ["reader", "colonnade", "caf\u00e9", "\u54f2\u5b66", "machine"], ["opens", "keeps", "forgets", "teaches"]
sentences = [f"The {s} {v} the {o}, and {n} of them don't.\n" for s in SUBJECTS for v in VERBS for o in SUBJECTS for n in range(3)]
text = SCRATCH / "text.txt"
text.write_text("<|endoftext|>\n".join("".join(sentences[i::17]) for i in range(17)), encoding="utf-8")
probe = SCRATCH / "probe.txt"
probe.write_text("".join(sentences[5:90:9]), encoding="utf-8")

VARIANTS = {  # odd sizes; one option of a family each
    "llama": "family: llama, layers: 2, width: 48, heads: 6, key_value_heads: 2, feed_forward_width: 37, rope_theta: 5000",
    "llama_tied": "family: llama, layers: 1, width: 44, heads: 2, head_width: 10, tied_embedding: true, norm_epsilon: 1e-6",
    "qwen3": "family: llama, layers: 2, width: 45, heads: 4, key_value_heads: 2, head_width: 14, query_key_norm: true",
    "gpt2": "family: gpt2, layers: 2, width: 39, heads: 3, feed_forward_width: 101",
}


def write_experiment(name, model):
    path = SCRATCH / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nmodel: {{{model}, vocabulary_size: {VOCABULARY}, context_length: {CONTEXT}, initial_std: 0.15}}\n"
        f"data: {{prefix: data/corpus, tokenizer: data/tokenizer.json, text: [{text}], held_out_fraction: 0.2}}\n"
        "training: {steps: 3, global_batch: 4, micro_batch: 2, precision: fp32}\n"
        "optimizer: {learning_rate: 1e-3}\nparallel: {data: 2, threads_per_rank: 1}\n"
        "cluster: {machine: local}\n")
    return path


def logits_of_stoa(experiment, ids, vocabulary=VOCABULARY):
    words = [BIN / "print_logits", experiment, ",".join(map(str, ids)), "training.precision=fp32"]
    raw = subprocess.run(list(map(str, words)), check=True, capture_output=True).stdout
    return torch.from_numpy(numpy.frombuffer(raw, dtype=numpy.float32).reshape(len(ids), vocabulary).copy())


def greedy_of_stoa(experiment, tokens):
    words = [BIN / "stoa", "sample", experiment, "training.precision=fp32", "--prompt", PROMPT, "--temperature", "0",
             "--tokens", tokens, "--threads", 1]
    return subprocess.run(list(map(str, words)), check=True, capture_output=True).stdout.removesuffix(b"\n")


def bytes_of(tokenizer, ids):
    """What the tokens stand for: their characters are those of GPT-2's alphabet of bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    alphabet = {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(rest)}
    return bytes(alphabet[c] for token in tokenizer.convert_ids_to_tokens(ids) for c in token)


def greedy_of_transformers(model, ids, end, count):
    """Token by token without any generation setting, up to the end of the text or of the context."""
    ids = list(ids)
    prompt = len(ids)
    with torch.no_grad():
        while len(ids) - prompt < count:
            token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if token == end:
                break
            ids.append(token)
            if len(ids) > CONTEXT:
                break
    return ids


def loss_of_transformers(model, ids):
    """Mean over all tokens but the first, in windows of the context, as `stoa eval` reads a text."""
    total = 0.0
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, CONTEXT):
            window = torch.tensor(ids[begin:begin + CONTEXT + 1])
            logits = model(window[None, :-1]).logits[0].double()
            total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return total / (len(ids) - 1)


def compare(name, experiment, folder, tolerance=1e-4):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    document = probe.read_text(encoding="utf-8").removesuffix("\n")
    ids = tokenizer(document, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        theirs = model(torch.tensor([ids[:CONTEXT]])).logits[0]
    ours = logits_of_stoa(experiment, ids[:CONTEXT], model.config.vocab_size)
    worst = (theirs - ours).abs().max().item()
    claim(theirs.std() > 0.05 and worst < tolerance, f"{name}: {CONTEXT} positions of logits differ by {worst:.1e} at most")
    result = json.loads(stoa("eval", experiment, "training.precision=fp32", "--text", probe, "--json", "--threads", 1))
    end = tokenizer.eos_token_id
    loss = loss_of_transformers(model, ids + [end])
    claim(result["tokens"] == len(ids) and math.isclose(result["loss"], loss, abs_tol=1e-4),
          f"{name}: `stoa eval` reads the same {len(ids)} tokens and finds the same loss {loss:.5f}")
    prompt = tokenizer(PROMPT, add_special_tokens=False)["input_ids"]
    written = greedy_of_transformers(model, prompt, end, 50)
    said, heard = bytes_of(tokenizer, written), greedy_of_stoa(experiment, 50)
    # A character that the last token has only begun is not shown by `stoa sample`.
    claim(said.startswith(heard) and len(said) - len(heard) < 4 and len(written) > len(prompt),
          f"{name}: {len(written) - len(prompt)} greedy tokens are the same text")
    return model, tokenizer


def last_losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "step"]


def check_files(folder, several):
    index = folder / "model.safetensors.index.json"
    claim(index.exists() == several, f"{folder.name}: {'several files with an index' if several else 'one file'}")
    seen = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(file, "pt") as opened:
            seen.update({name: (file.name, opened.get_tensor(name)) for name in opened.keys()})
    if several:
        weight_map = json.loads(index.read_text())["weight_map"]
        claim(weight_map == {name: file for name, (file, _) in seen.items()}, f"{folder.name}: the index is what the files hold")
    return {name: tensor for name, (_, tensor) in seen.items()}


def goes_out(name, model):
    experiment = write_experiment(name, model)
    stoa("run", experiment, env=MPI)
    folder = SCRATCH / f"{name}.hf"
    stoa("export", experiment, "--to", "huggingface", "--out", folder, "--shard-size", "40KB" if name == "llama" else "5GB")
    tensors = check_files(folder, name == "llama")
    loaded, tokenizer = compare(name, experiment, folder)
    claim(set(loaded.state_dict()) - {"lm_head.weight"} == set(tensors) - {"lm_head.weight"}, f"{name}: every tensor has its name")
    ours = AutoTokenizer.from_pretrained(folder)(ODD)["input_ids"]
    claim(tokenizer.decode(ours) == ODD and tokenizer.eos_token_id == VOCABULARY - 1 and tokenizer.model_max_length == CONTEXT,
          f"{name}: the tokenizer gives back what it read and knows end and length")
    card = (folder / "README.md").read_text()
    claim(card.startswith("---\n") and card.count("HUMAN REQUIRED") >= 5 and "Training loss at step 3" in card, f"{name}: the card")
    return experiment, folder, tensors


def bf16_is_rounded(experiment, tensors):
    folder = SCRATCH / "llama.bf16"
    stoa("export", experiment, "--to", "huggingface", "--out", folder, "--dtype", "bf16")
    halves = check_files(folder, False)
    claim(all(torch.equal(half, tensors[name].to(torch.bfloat16)) for name, half in halves.items()) and len(halves) == len(tensors),
          "bf16: every value is torch's rounding of the fp32 one")
    model = AutoModelForCausalLM.from_pretrained(folder)
    claim(model.dtype == torch.bfloat16, "bf16: transformers loads it as that")


def llama3_tokenizer():
    """A folder with one in Llama 3's style: its pattern, ignore_merges, added tokens, a template that begins a text."""
    folder = SCRATCH / "llama3"
    folder.mkdir()
    (folder / "trained.json").write_text(byte_level.trained("llama3", sentences, VOCABULARY - 2), encoding="utf-8")
    transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "trained.json"), bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>",
                                         clean_up_tokenization_spaces=False).save_pretrained(folder)
    return folder


def comes_in(name, config, dtype, save, tokenizer):
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # norms and biases of their own, so that none can be mistaken for another
                parameter.add_(0.3 * torch.randn_like(parameter))
    folder = SCRATCH / f"{name}.made"
    model.save_pretrained(folder, **save)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / file, folder)
    stoa("import", folder, "--out", name)
    experiment = SCRATCH / name / "experiment.yaml"
    compare(name, experiment, folder)
    back = SCRATCH / f"{name}.back"
    stoa("export", experiment, "--to", "huggingface", "--out", back)
    tensors, first = check_files(back, False), check_files(folder, "max_shard_size" in save)
    claim(set(tensors) == set(first) and all(torch.equal(tensors[key], first[key].float()) for key in first),
          f"{name}: in and out again is bit for bit the same")
    same_tokenizer(name, AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(back), json.loads((back / "config.json").read_text()))
    return experiment


def same_tokenizer(name, theirs, ours, config):
    odd = f"{ODD}{theirs.eos_token} and on"
    claim(ours(odd)["input_ids"] == theirs(odd)["input_ids"] and (ours.bos_token, ours.eos_token) == (theirs.bos_token, theirs.eos_token)
          and (config["bos_token_id"], config["eos_token_id"]) == (theirs.bos_token_id, theirs.eos_token_id),
          f"{name}: the tokenizer comes back with the same ids, special tokens, begin {ours.bos_token} and end {ours.eos_token}")


def trains_on(name, experiment):
    words = [f"data.text=[{text}]", "data.held_out_fraction=0.2", "training.steps=12", "optimizer.warmup_steps=2", "optimizer.learning_rate=2e-3",
             "training.precision=fp32", "training.global_batch=8", "training.micro_batch=4", "parallel.data=2",
             "parallel.threads_per_rank=1", "checkpoint.every_steps=6"]
    stoa("validate", experiment, *words)
    stoa("run", experiment, *words, env=MPI)
    losses = last_losses(SCRATCH / name / "run")
    begin = json.loads((SCRATCH / name / "run/metrics.jsonl").read_text().splitlines()[1])
    claim(len(losses) == 12 and losses[-1] < losses[0] - 0.3, f"{name}: trains on, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    claim(begin["kind"] == "evaluation" and begin["step"] == 0, f"{name}: is judged before its first step")
    shutil.rmtree(SCRATCH / name / "checkpoint")
    stoa("run", experiment, *words, "training.steps=13", env=MPI)
    claim(len(last_losses(SCRATCH / name / "run")) == 13, f"{name}: goes on after what it started from is gone")


exported = {name: goes_out(name, model) for name, model in VARIANTS.items()}
bf16_is_rounded(exported["llama"][0], exported["llama"][2])

gpt2_style, llama3_style = SCRATCH / "llama.hf", llama3_tokenizer()
sizes = dict(vocab_size=VOCABULARY, bos_token_id=VOCABULARY - 1, eos_token_id=VOCABULARY - 1, initializer_range=0.15)
wide = dict(max_position_embeddings=CONTEXT, num_hidden_layers=2, intermediate_size=51, **sizes)
llama = comes_in("in_llama", LlamaConfig(hidden_size=48, num_attention_heads=4, num_key_value_heads=2, rope_theta=7000.0, **wide),
                 torch.float32, {"max_shard_size": "60KB"}, llama3_style)
comes_in("in_llama_tied", LlamaConfig(hidden_size=40, num_attention_heads=5, tie_word_embeddings=True, **wide), torch.bfloat16, {}, gpt2_style)
comes_in("in_qwen3", Qwen3Config(hidden_size=45, num_attention_heads=4, num_key_value_heads=1, head_dim=18, **wide),
         torch.float16, {"max_shard_size": "50KB"}, llama3_style)
gpt2 = comes_in("in_gpt2", GPT2Config(n_embd=42, n_layer=2, n_head=3, n_positions=CONTEXT, resid_pdrop=0.0, embd_pdrop=0.0,
                                      attn_pdrop=0.0, **sizes), torch.float32, {}, gpt2_style)
trains_on("in_llama", llama)
trains_on("in_gpt2", gpt2)
