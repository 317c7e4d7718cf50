"""Megatron's data sets both ways: megatron-core reads what Stoa writes, and Stoa reads, merges and splits what it writes."""
import json

import numpy
import torch
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

from claims import SCRATCH, claim, stoa


def bytes_of(prefix, ending):
    return (SCRATCH / f"{prefix}{ending}").read_bytes()


def build(prefix, dtype, documents, largest):
    """Megatron's builder: each document is a list of sequences."""
    random = numpy.random.default_rng(len(documents))
    builder = IndexedDatasetBuilder(str(SCRATCH / f"{prefix}.bin"), dtype=dtype)
    for lengths in documents:
        for length in lengths:
            builder.add_item(torch.tensor(random.integers(0, largest, length)))
        builder.end_document()
    builder.finalize(str(SCRATCH / f"{prefix}.idx"))
    return IndexedDataset(str(SCRATCH / prefix))


def documents_of(dataset):
    begins = dataset.document_indices
    return [[dataset[s].tolist() for s in range(begins[d], begins[d + 1])] for d in range(len(begins) - 1)]


def whole_documents(dataset):
    return [sum(document, []) for document in documents_of(dataset)]


def shown(prefix, document):
    told = json.loads(stoa("data", "inspect", SCRATCH / prefix, "--document", document, "--format", "json"))
    return told["shown"][0]["ids"]


def inspected(prefix):
    return json.loads(stoa("data", "inspect", SCRATCH / prefix, "--format", "json"))


# Ours, read by megatron-core.
texts = [f"Document {d} tells of {'many ' * (d % 17)}rivers, caf\u00e9s and \U0001F642." for d in range(301)]
(SCRATCH / "text.jsonl").write_text("".join(json.dumps({"id": d, "text": text}) + "\n" for d, text in enumerate(texts)))
(SCRATCH / "sample.yaml").write_text(
    f"name: t\nrun_directory: {SCRATCH}/run\nmodel: {{family: llama, layers: 1, width: 32, heads: 2, vocabulary_size: 290, "
    f"context_length: 33}}\ndata: {{prefix: {SCRATCH}/ours, tokenizer: {SCRATCH}/tokenizer.json, text: [{SCRATCH}/text.jsonl]}}\n"
    "training: {steps: 1, global_batch: 1}\n")
stoa("data", "prepare", SCRATCH / "sample.yaml")
ours = IndexedDataset(str(SCRATCH / "ours"))
from tokenizers import Tokenizer  # noqa: E402
hugging_face = Tokenizer.from_file(str(SCRATCH / "tokenizer.json"))
end_of_text = hugging_face.token_to_id("<|endoftext|>")
expected = [hugging_face.encode(text, add_special_tokens=False).ids + [end_of_text] for text in texts]
claim(whole_documents(ours) == expected and ours.index.dtype == numpy.uint16,
      "megatron-core reads every document of ours, with the ids of Hugging Face's tokenizers")

# Theirs, read by us.
theirs = {
    "u16": build("u16", numpy.uint16, [[3, 1], [7], [0, 5, 2], [11]], 60000),
    "u16b": build("u16b", numpy.uint16, [[5], [2, 2, 9]], 65000),
    "i32": build("i32", numpy.int32, [[33, 4], [8]], 200000),
    "i64": build("i64", numpy.int64, [[6], [1, 1]], 1 << 30),
}
for name, dataset in theirs.items():
    told = inspected(name)
    claim(told["sequences"] == len(dataset) and told["documents"] == len(dataset.document_indices) - 1
          and [shown(name, d) for d in range(told["documents"])] == whole_documents(dataset),
          f"Stoa reads every document of a data set of {name} that megatron-core wrote")
    stoa("data", "verify", SCRATCH / name)

# Merging, as theirs does it.
builder = IndexedDatasetBuilder(str(SCRATCH / "merged_theirs.bin"), dtype=numpy.uint16)
for name in ("u16", "u16b", "u16"):
    builder.add_index(str(SCRATCH / name))
builder.finalize(str(SCRATCH / "merged_theirs.idx"))
stoa("data", "merge", "--out", SCRATCH / "merged", SCRATCH / "u16", SCRATCH / "u16b", SCRATCH / "u16")
for ending in (".bin", ".idx"):
    claim(bytes_of("merged", ending) == bytes_of("merged_theirs", ending), f"merged {ending} is Megatron's, byte for byte")
stoa("data", "verify", SCRATCH / "merged", SCRATCH / "merged_theirs")

stoa("data", "merge", "--out", SCRATCH / "wide", SCRATCH / "u16", SCRATCH / "i32")
wide = IndexedDataset(str(SCRATCH / "wide"))
claim(wide.index.dtype == numpy.int32
      and documents_of(wide) == documents_of(theirs["u16"]) + documents_of(theirs["i32"]),
      "u16 and i32 merge to i32 with all sequences and documents")
stoa("data", "merge", "--out", SCRATCH / "wider", SCRATCH / "i32", SCRATCH / "i64")
claim(documents_of(IndexedDataset(str(SCRATCH / "wider"))) == documents_of(theirs["i32"]) + documents_of(theirs["i64"]),
      "i32 and i64 merge to i64 with all sequences and documents")

# Splitting and merging again gives the same bytes.
for words in (["--parts", 3], ["--documents-each", 4], ["--fractions", "0.7,0.2,0.1"]):
    stoa("data", "split", SCRATCH / "merged", "--out", SCRATCH / "part", *words, "--replace")
    number = 3
    parts = [f"part-{p:05}-of-{number:05}" for p in range(number)]
    claim(sum((documents_of(IndexedDataset(str(SCRATCH / part))) for part in parts), [])
          == documents_of(IndexedDataset(str(SCRATCH / "merged"))), f"megatron-core reads the parts of split {words[0]}")
    stoa("data", "merge", "--out", SCRATCH / "again", *[SCRATCH / part for part in parts], "--replace")
    claim(all(bytes_of("again", e) == bytes_of("merged", e) for e in (".bin", ".idx", ".checksums.json")),
          f"split {words[0]} and merge give the same bytes")

# Damage is found and named.
damaged = bytearray(bytes_of("merged", ".bin"))
damaged[11] ^= 4
(SCRATCH / "merged.bin").write_bytes(damaged)
stoa("data", "verify", SCRATCH / "merged", exit_code=4)
stoa("data", "merge", "--out", SCRATCH / "laundered", SCRATCH / "merged", exit_code=4)
claim(not (SCRATCH / "laundered.idx").exists(), "a damaged data set is not merged under new checksums")
stoa("data", "verify", SCRATCH / "u16", "--vocabulary", 100, exit_code=4)
