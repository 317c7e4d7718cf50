#!/usr/bin/python3
"""A second reader of Stoa's checkpoints, written from checkpoint/FORMAT.md alone: loads every tensor through manifest.json
and the piece tables, and compares it with what h5py shows in checkpoint.h5, byte for byte.

usage: read_checkpoint.py FOLDER        prints one line a tensor; exits 1 at the first difference
"""
import json
import pathlib
import struct
import sys

import h5py
import xxhash

TAIL_BYTES = 47


def read_manifest(folder):
    text = (folder / "manifest.json").read_bytes()
    manifest = json.loads(text)
    assert manifest["format"] == "stoa-checkpoint" and manifest["readable_from"] <= 1
    assert xxhash.xxh3_128_hexdigest(text[:-TAIL_BYTES]) == manifest["digest"], "manifest digest"
    return manifest


def read_pieces(folder, shard):
    """Yields (piece, its bytes) of one shard, all checksums compared."""
    data = (folder / shard["file"]).read_bytes()
    assert len(data) == shard["bytes"], shard["file"]
    table = data[shard["table_offset"] : shard["table_offset"] + shard["table_bytes"]]
    assert xxhash.xxh3_128_hexdigest(table) == shard["table_xxh3_128"], "piece table digest"
    table = json.loads(table)
    chunk_bytes = table["chunk_bytes"]
    for piece in table["pieces"]:
        values = data[piece["offset"] : piece["offset"] + piece["bytes"]]
        chunks = [values[at : at + chunk_bytes] for at in range(0, len(values), chunk_bytes)]
        assert [xxhash.xxh3_64_hexdigest(chunk) for chunk in chunks] == piece["xxh3_64"], piece["tensor"]
        yield piece, values


def element_indexes(piece):
    """The index in the global tensor of each element of a piece, in the piece's own order."""
    indexes = [0]
    for begin, size, extent in zip(piece["begin"], piece["size"], piece["shape"]):
        indexes = [index * extent + begin + i for index in indexes for i in range(size)]
    return indexes


def main(folder):
    manifest = read_manifest(folder)
    words = {}
    for tensor in manifest["tensors"]:
        count = 1
        for extent in tensor["shape"]:
            count *= extent
        words[tensor["name"]] = [None] * count
    for shard in manifest["shards"]:
        for piece, values in read_pieces(folder, shard):
            for index, word in zip(element_indexes(piece), struct.iter_unpack("<I", values)):
                assert words[piece["tensor"]][index] is None, "an element stands twice"
                words[piece["tensor"]][index] = word[0]
    with h5py.File(folder / "checkpoint.h5", "r") as view:
        for name, expected in words.items():
            shown = [word[0] for word in struct.iter_unpack("<I", view[name][...].astype("<f4").tobytes())]
            if shown != expected:
                sys.exit(f"{name}: checkpoint.h5 shows other values than the shards hold")
            print(name, len(expected))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
