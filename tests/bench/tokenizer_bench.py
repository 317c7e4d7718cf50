#!/usr/bin/env python3
"""tokenizer_bench.py BUILD-BIN CORPUS-FOLDER [--megabytes N] [--rounds N] [--vocabulary N]: one thread encodes the same text with the same merges by
Stoa (tokenizer_bench), Hugging Face's `tokenizers` and `tiktoken`, as GPT-2 and as Llama 3 cut text. CORPUS-FOLDER is what
scripts/quickstart_corpus makes; of each of its files the first N/8 megabytes are taken. Prints a table of medians of user CPU time; it says so
where the peers' token counts differ. Run it with the Python of scripts/interop_environment."""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tiktoken
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SEPARATOR = "<|endoftext|>\n"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def trained(kind, documents, size):
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
    split = pre_tokenizers.Split(Regex(PATTERNS[kind]), "isolated")
    tokenizer.pre_tokenizer = byte_level if kind == "gpt2" else pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def for_tiktoken(kind, tokenizer):
    """The same merges: rank by rank of the merge, since tiktoken joins the pair whose joined bytes have the lowest rank."""
    byte_of = bytes_of_alphabet()
    ranks = {bytes([b]): b for b in range(256)}
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        ranks.setdefault(bytes(byte_of[c] for c in left + right), len(ranks))
    return tiktoken.Encoding(kind, pat_str=PATTERNS[kind], mergeable_ranks=ranks, special_tokens={})


def bytes_of_alphabet():
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{chr(b): b for b in printable}, **{chr(256 + n): b for n, b in enumerate(others)}}


def user_cpu_s():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def median_of(rounds, encode):
    """Median seconds and the number of tokens, after a round of warming up."""
    seconds, tokens = [], encode()
    for _ in range(rounds):
        begin = user_cpu_s()
        encode()
        seconds.append(user_cpu_s() - begin)
    return statistics.median(seconds), tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=50257)
    options = parser.parse_args()
    share = options.megabytes * 1_000_000 // 8
    text = "".join(path.read_text("utf-8", errors="ignore")[:share] for path in sorted(options.corpus.glob("*.txt")))
    documents = [document for document in text.split(SEPARATOR) if document]
    size = sum(len(document.encode()) for document in documents)
    print(f"{size / 1e6:.1f} MB, {len(documents)} documents, vocabulary {options.vocabulary}, one thread, user CPU time;"
          f" tokenizers {tokenizers.__version__}, tiktoken {tiktoken.__version__}")
    print(f"{'':8}{'':28}{'MB/s':>8}{'tokens':>12}{'Stoa is faster by':>20}")
    with tempfile.TemporaryDirectory() as folder:
        text_file = pathlib.Path(folder, "text.txt")
        text_file.write_text(SEPARATOR.join(documents), "utf-8", newline="\n")
        for kind in PATTERNS:
            theirs = trained(kind, documents, options.vocabulary - 1)
            file = pathlib.Path(folder, f"{kind}.json")
            theirs.save(str(file))
            ours = json.loads(subprocess.run([options.bin / "tokenizer_bench", file, text_file, str(options.rounds)],
                                             check=True, capture_output=True, text=True).stdout)
            native = for_tiktoken(kind, theirs)
            rows = [
                ("tokenizers, encode", lambda: sum(len(theirs.encode(d, add_special_tokens=False).ids) for d in documents)),
                ("tokenizers, encode_batch_fast",
                 lambda: sum(len(e.ids) for e in theirs.encode_batch_fast(documents, add_special_tokens=False))),
                ("tiktoken, encode_ordinary", lambda: sum(len(native.encode_ordinary(d)) for d in documents)),
            ]
            print(f"{kind:8}{'Stoa (loads in %.0f ms)' % (1e3 * ours['load_s']):30}{ours['mb_per_s']:6.1f}{ours['tokens']:12}", flush=True)
            for name, encode in rows:
                seconds, tokens = median_of(options.rounds, encode)
                differs = "" if tokens == ours["tokens"] else "  (other tokens!)"
                print(f"{kind:8}{name:30}{size / seconds / 1e6:6.1f}{tokens:12}{seconds / ours['seconds']:18.1f} x{differs}", flush=True)


if __name__ == "__main__":
    main()
