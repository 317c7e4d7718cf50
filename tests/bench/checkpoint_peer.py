#!/usr/bin/env python3
"""The peers of checkpoint_bench, fsync included: as many bytes saved by two processes with torch.save, and with h5py (a
data set a tensor), each a file of its own. Run with the Python of scripts/interop_environment.

    checkpoint_peer.py [FOLDER [GIB [ROUNDS]]]
"""
import multiprocessing
import os
import statistics
import sys
import tempfile
import time

import h5py
import torch

RANKS = 2


def sync(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def save_torch(path, tensors):
    torch.save(tensors, path)


def save_h5py(path, tensors):
    with h5py.File(path, "w") as file:
        for name, tensor in tensors.items():
            file.create_dataset(name, data=tensor.numpy())


def rank(number, folder, gib, rounds, barrier, times):
    torch.set_num_threads(1)
    count = int(gib * 64) // RANKS  # of 16 MiB
    tensors = {f"layers.{i}.weight": torch.full((2048, 2048), 1.25 + number) for i in range(count)}
    for _ in range(rounds):
        for name, save in (("torch.save", save_torch), ("h5py", save_h5py)):
            path = f"{folder}/{name}-{number}"
            if os.path.exists(path):
                os.unlink(path)
            barrier.wait()
            begin = time.monotonic()
            save(path, tensors)
            sync(path)
            barrier.wait()
            if number == 0:
                times.put((name, time.monotonic() - begin))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    gib = float(sys.argv[2]) if len(sys.argv) > 2 else 2
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        barrier, times = multiprocessing.Barrier(RANKS), multiprocessing.Queue()
        ranks = [multiprocessing.Process(target=rank, args=(i, inside, gib, rounds, barrier, times)) for i in range(RANKS)]
        for each in ranks:
            each.start()
        found = [times.get() for _ in range(2 * rounds)]
        for each in ranks:
            each.join()
    for name in ("torch.save", "h5py"):
        seconds = statistics.median(time for which, time in found if which == name)
        print(f"  {name:<26} {seconds:6.3f} s {gib * 2**30 / seconds / 1e9:6.2f} GB/s")


if __name__ == "__main__":
    main()
