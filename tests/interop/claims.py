"""What the tests of this folder share: Stoa's program as a command, and claims that end a test with a sentence."""
import os
import pathlib
import subprocess
import sys

BIN = pathlib.Path(os.environ["STOA_BIN"])
SOURCE = pathlib.Path(os.environ["STOA_SOURCE"]).resolve()
SCRATCH = pathlib.Path(os.environ["STOA_SCRATCH"])


def stoa(*words, exit_code=0, **options):
    """Runs `stoa WORDS...` and returns what it printed; any other exit code ends the test with all output."""
    done = subprocess.run([str(BIN / "stoa"), *map(str, words)], capture_output=True, text=True, **options)
    if done.returncode != exit_code:
        sys.exit(f"stoa {' '.join(map(str, words))}: exit code {done.returncode}, not {exit_code}\n{done.stdout}{done.stderr}")
    return done.stdout


def claim(holds, sentence):
    if not holds:
        sys.exit(f"FAILED: {sentence}")
    print(f"ok: {sentence}")
