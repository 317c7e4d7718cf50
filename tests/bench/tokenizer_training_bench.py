#!/usr/bin/env python3
"""tokenizer_training_bench.py BUILD-BIN CORPUS [PART-MB]: training a tokenizer of 32,000 entries.

CORPUS is a folder of `scripts/quickstart_corpus --large`. Trains on all of it with 2 threads and with 1, and on PART-MB (100) taken
evenly from all files with Stoa and with Hugging Face's BpeTrainer (2 threads each; skipped without scripts/interop_environment).
Each line is a process of its own: seconds, processor seconds, and the most memory it held at once (VmHWM)."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
VOCABULARY = 32_000
HUGGING_FACE = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
path, out, vocabulary = sys.argv[1:]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=int(vocabulary) - 1, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
def documents():
    lines = []
    for line in open(path, encoding="utf-8", newline="\\n"):
        if line == "<|endoftext|>\\n":
            yield "".join(lines).strip("\\n")
            lines = []
        else:
            lines.append(line)
    yield "".join(lines).strip("\\n")
tokenizer.train_from_iterator(documents(), trainer)
tokenizer.save(out)
"""


def measure(name, words, megabytes, **environment):
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | environment)
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{name}: {complaint.decode()}")
    seconds = time.monotonic() - began
    print(f"| {name} | {megabytes:.0f} MB | {seconds:.1f} | {usage.ru_utime + usage.ru_stime:.1f} | {usage.ru_maxrss / 1024:.0f} MiB |", flush=True)
    return seconds


def write_part(files, megabytes, path):
    """The first part of each file up to an end of a document, each file in proportion."""
    whole = sum(file.stat().st_size for file in files)
    with open(path, "wb") as out:
        for file in files:
            left = file.stat().st_size * megabytes * 1_000_000 / whole
            with open(file, "rb") as lines:
                for line in lines:
                    if left < 0 and line == b"<|endoftext|>\n":
                        break
                    out.write(line)
                    left -= len(line)
            out.write(b"<|endoftext|>\n")
    return path.stat().st_size / 1e6


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    stoa = pathlib.Path(sys.argv[1]).resolve() / "stoa"
    files = sorted(pathlib.Path(sys.argv[2]).glob("*.txt"))
    all_mb = sum(file.stat().st_size for file in files) / 1e6
    environment = pathlib.Path(subprocess.check_output([HERE / "../../scripts/interop_environment", "--where"], text=True).strip())
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        part = scratch / "part.txt"
        part_mb = write_part(files, float(sys.argv[3]) if len(sys.argv) == 4 else 100, part)

        def train(name, texts, megabytes, threads):
            out = scratch / f"{name}.json"
            command = [stoa, "tokenizer", "train", "--vocabulary", VOCABULARY, "--threads", threads, "--out", out, "--text", *texts]
            return measure(name, command, megabytes), out.read_bytes()

        print(f"| {VOCABULARY:,} entries | text | seconds | processor seconds | VmHWM |\n|---|---|---|---|---|")
        _, two = train("Stoa, 2 threads", files, all_mb, 2)
        _, one = train("Stoa, 1 thread", files, all_mb, 1)
        print("the same bytes" if one == two else "OTHER BYTES with one thread")
        ours, _ = train("Stoa, 2 threads, part", [part], part_mb, 2)
        if not (environment / "complete").exists():
            print("Hugging Face: did not run; scripts/interop_environment makes what it needs")
            return
        command = [environment / "bin/python", "-c", HUGGING_FACE, part, scratch / "theirs.json", VOCABULARY]
        theirs = measure("Hugging Face, 2 threads, part", command, part_mb, RAYON_NUM_THREADS="2", TOKENIZERS_PARALLELISM="true")
        print(f"ratio: {theirs / ours:.1f}")


main()
