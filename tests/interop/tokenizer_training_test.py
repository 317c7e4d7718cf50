"""`stoa tokenizer train` learns the merges that Hugging Face's BpeTrainer learns, all of them in the same order, from some MB of
English and code-like text (scripts/quickstart_corpus) and made-up words in other scripts, with either pre-tokenizer; and the same
bytes with other numbers of threads, little memory, and the text as compressed JSON lines."""
import gzip
import json
import pathlib
import random
import subprocess
import sys

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from byte_level import LLAMA3
from claims import SCRATCH, SOURCE, claim, stoa

SEPARATOR = "<|endoftext|>"
VOCABULARY = 30_011
SCRIPTS = [(0x391, 0x3C9), (0x410, 0x44F), (0x905, 0x939), (0x0E01, 0x0E2E), (0x4E00, 0x4EFF), (0xAC00, 0xACFF), (0x1F600, 0x1F64F)]


def made_up_text(numbers, words):
    """Words of seven scripts, some far more frequent than others, between marks, digits and spaces of many kinds."""
    lexicon = ["".join(chr(numbers.randint(*script)) for _ in range(numbers.randint(1, 9))) for script in SCRIPTS for _ in range(301)]
    between = [" "] * 9 + ["\n", "\r\n", "  ", "\t", ", ", "... ", "\u00a0", " 2024 ", "'s ", "'LL ", "\n\n   ", "(", "½"]
    return "".join(lexicon[int(len(lexicon) * numbers.random() ** 3)] + numbers.choice(between) for _ in range(words))


def corpus():
    made = subprocess.run([SOURCE / "scripts/quickstart_corpus", SCRATCH / "corpus"], capture_output=True, text=True)
    if made.returncode != 0:
        print(f"did not run: no corpus can be made here: {made.stderr}")
        sys.exit(77)
    documents = []
    for name in ("foldoc.txt", "jargon_file.txt", "debian_policy.txt"):
        text = pathlib.Path(SCRATCH / "corpus" / name).read_text("utf-8")
        documents += [document.strip("\n") for document in text.split(SEPARATOR + "\n")]
    numbers = random.Random(13)
    documents += [made_up_text(numbers, 1009).strip("\r\n") for _ in range(101)]
    return [document for document in documents if document]


def hugging_face_merges(kind, documents):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if kind == "llama3":
        split = pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(documents, trainer)
    return json.loads(tokenizer.to_str())["model"]["merges"]


def trained(name, text, *options):
    out = SCRATCH / f"{name}.json"
    stoa("tokenizer", "train", "--text", text, "--out", out, *options)
    return out.read_text()


def main():
    documents = corpus()
    text, lines = SCRATCH / "text.txt", SCRATCH / "lines.jsonl.gz"
    text.write_text(f"\n{SEPARATOR}\n".join(documents) + "\n", "utf-8", newline="")
    with gzip.open(lines, "wt", 1, encoding="utf-8", newline="\n") as out:
        out.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    for kind in ("gpt2", "llama3"):
        theirs = hugging_face_merges(kind, documents)
        options = ["--pre-tokenizer", kind, "--vocabulary", VOCABULARY]
        written = trained(f"{kind}", text, *options, "--threads", 1)
        ours = json.loads(written)["model"]["merges"]
        first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
        claim(first is None and len(ours) == len(theirs), f"{kind}: all {len(theirs)} merges are Hugging Face's (first other one: {first})")
        same = trained(f"{kind}_lines", lines, *options, "--threads", 3, "--memory", "24MiB") == written
        claim(same, f"{kind}: three threads, little memory and compressed JSON lines give the same bytes")
        small = json.loads(trained(f"{kind}_small", text, "--pre-tokenizer", kind, "--vocabulary", 1009))["model"]["merges"]
        claim(small == theirs[: 1009 - 257], f"{kind}: a smaller vocabulary is the begin of the larger one")
        reopened = Tokenizer.from_file(str(SCRATCH / f"{kind}.json"))
        sample = documents[-1]
        claim(reopened.decode(reopened.encode(sample).ids) == sample, f"{kind}: Hugging Face's library opens the file and uses it")


main()
