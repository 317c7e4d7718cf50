#!/usr/bin/env python3
"""The peer of near_duplicates_bench: datasketch (PyPI) with the same shingles, permutations and threshold, in MB/s of one core.

    python3 -m venv ENV && ENV/bin/pip install datasketch
    ENV/bin/python tests/bench/near_duplicates_peer.py FILE... [--megabytes 3]
"""
import argparse
import re
import resource

from datasketch import MinHash, MinHashLSH

parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="+")
parser.add_argument("--megabytes", type=float, default=3, help="of each file's beginning, so that it ends")
arguments = parser.parse_args()

documents = []
for name in arguments.files:
    text = open(name, encoding="utf-8", errors="replace").read(int(arguments.megabytes * 1e6))
    documents += [document for document in text.split("\n<|endoftext|>\n") if document.strip()]
size = sum(len(document.encode()) for document in documents)

WORD = re.compile(r"[a-z0-9\x80-\U0010ffff]+")
begin = resource.getrusage(resource.RUSAGE_SELF).ru_utime
lsh = MinHashLSH(threshold=0.8, num_perm=128)
kept = {}
for number, document in enumerate(documents):
    words = WORD.findall(document.lower())
    shingles = {" ".join(words[i:i + 5]).encode() for i in range(max(1, len(words) - 4))}
    signature = MinHash(num_perm=128, seed=1)
    signature.update_batch(list(shingles))
    if not any(kept[other].jaccard(signature) >= 0.8 for other in lsh.query(signature)):
        lsh.insert(number, signature)
        kept[number] = signature
seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin
print(f"datasketch: {len(documents)} documents, {size / 1e6:.1f} MB, {len(documents) - len(kept)} dropped, {size / 1e6 / seconds:.2f} MB/s")
