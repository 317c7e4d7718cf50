"""The converter behind quickstart_corpus: unpacked Debian packages -> clean UTF-8 documents. Standard library only.

  quickstart_corpus.py make ROOT OUTDIR   ROOT/PACKAGE/ are unpacked packages, ROOT/PACKAGE/VERSION their versions
  quickstart_corpus.py packages           names of the packages
  quickstart_corpus.py check OUTDIR       status 0 where every file that SOURCES.md lists is there and unchanged
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

SEPARATOR = "<|endoftext|>"
LEAST_BYTES = 20_000_000


# Text -----------------------------------------------------------------------------------------------------------------------


def unwrapped(text):
    """Lines that a column limit broke, joined again; an empty line or a deeper indentation starts a paragraph."""
    paragraphs, current, indent = [], [], 0
    for line in text.expandtabs().split("\n"):
        content = line.strip()
        here = len(line) - len(line.lstrip())
        if current and (not content or here > indent + 3 or re.match(r"(\d+\.|[-*•]|\([a-z]\)) ", content)):
            paragraphs.append(" ".join(current))
            current = []
        if content:
            if not current:
                indent = here
            current.append(content)
    if current:
        paragraphs.append(" ".join(current))
    return "\n".join(re.sub(r" {2,}", " ", paragraph) for paragraph in paragraphs)


def dictd_entries(root, name):
    """The entries of a dictd data base in the order of its file; each once, however many index lines point at it."""
    digits = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}

    def number(text):
        value = 0
        for c in text:
            value = value * 64 + digits[c]
        return value

    folder = root / "usr/share/dictd"
    data = gzip.decompress((folder / f"{name}.dict.dz").read_bytes())
    places = set()
    for line in (folder / f"{name}.index").read_text("utf-8", "replace").splitlines():
        _, offset, size = line.split("\t")[:3]
        places.add((number(offset), number(size)))
    for offset, size in sorted(places):
        entry = data[offset : offset + size].decode("utf-8", "replace")
        if not entry.lstrip().startswith(("00-database", "00database")):
            yield entry


# One function a source: unpacked package -> documents -----------------------------------------------------------------------


GCIDE_MARKS = {"=": "\u0304", "-": "\u0304", "mac": "\u0304", "^": "\u0302", "'": "\u0301", "`": "\u0300", '"': "\u0308", "um": "\u0308", "~": "\u0303", ".": "\u0307"}
GCIDE_CHARACTERS = {"ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "root": "√", "deg": "°", "frac12": "½", "frac14": "¼", "thorn": "þ", "eth": "ð"}


def gcide_characters(text):
    """ "[=a]", "[a^]" and their like, as the dictionary writes letters outside ASCII, to those letters."""

    def letter(match):
        before, base, after = match.groups()
        mark = "\u0306" if after == "^" else GCIDE_MARKS.get(before or after)
        return unicodedata.normalize("NFC", base + mark) if mark else match[0]

    text = re.sub(r"\[(%s)\]" % "|".join(GCIDE_CHARACTERS), lambda match: GCIDE_CHARACTERS[match[1]], text)
    return re.sub(r"""\[([=^'`"~.\-]?)([A-Za-z])(\^|um|mac)?\]""", letter, text)


def gcide(root):
    tag = re.compile(r"\s*\[(?:[^\[\]]*(?:Webster|WordNet|PJC|Century Dict|AS)[^\[\]]*)\]")
    pronunciation = re.compile(r" ?\\[^\\\n]*\\")
    for entry in dictd_entries(root, "gcide"):
        text = pronunciation.sub("", tag.sub("", entry)).replace("{", "").replace("}", "")
        yield unwrapped(gcide_characters(text))


def foldoc(root):
    for entry in dictd_entries(root, "foldoc"):
        yield unwrapped(re.sub(r"\{([^{}]*)\}", lambda m: " ".join(m[1].split()), entry))


def jargon(root):
    for entry in dictd_entries(root, "jargon"):
        yield unwrapped(re.sub(r"\{([^{}]*)\}", lambda m: " ".join(m[1].split()), entry))


def devil(root):
    for entry in dictd_entries(root, "devil"):
        yield unwrapped(entry.replace("_", ""))


def wordnet(root):
    """Twenty synsets of one part of speech to a document: "word, other word (noun): gloss"."""
    for part in ("noun", "verb", "adj", "adv"):
        name = {"adj": "adjective", "adv": "adverb"}.get(part, part)
        lines = []
        for line in (root / f"usr/share/wordnet/data.{part}").read_text("utf-8", "replace").splitlines():
            if line.startswith("  "):  # the licence, at the head of the file
                continue
            fields, _, gloss = line.partition(" | ")
            fields = fields.split(" ")
            words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            words = [re.sub(r"\((a|p|ip)\)$", "", word).replace("_", " ") for word in words]
            lines.append(f"{', '.join(words)} ({name}): {gloss.strip()}")
            if len(lines) == 20:
                yield "\n".join(lines)
                lines = []
        if lines:
            yield "\n".join(lines)


def bible(root):
    """A chapter to a document. The text is packed in a form of its own, which the package's program reads."""
    program = root.parent / "bible-kjv/usr/bin/bible"
    folder = root / "usr/lib"
    done = subprocess.run([program, "-p", folder, "-l", "100000"], input="gen1:1-rev22:21\n", capture_output=True, text=True, cwd=folder)
    text = done.stdout.partition("> ")[2]
    chapters = re.split(r"\n\n?(?=[1-3A-Z][A-Za-z0-9 ]* \d+\n\n)", "\n" + text)
    chapters = [chapter for chapter in chapters if re.match(r"\n*[1-3A-Z][A-Za-z0-9 ]* \d+\n\n", chapter)]
    if len(chapters) < 1189:
        raise SystemExit(f"quickstart_corpus: {program} gave {len(chapters)} chapters of the Bible's 1189: {done.stderr.strip()}")
    for chapter in chapters[:1189]:
        yield re.sub(r"\n\s*\n", "\n", "\n".join(line.strip() for line in chapter.splitlines() if not line.startswith("bible(")))


def manual(path):
    def documents(root):
        text = gzip.decompress((root / path).read_bytes()).decode("utf-8", "replace")
        for section in re.split(r"\n(?=[^\n]+\n[*=]{4,}\n)", text):
            yield unwrapped(re.sub(r"\n[*=\-~^]{4,}\n", "\n\n", section))

    return documents


# package, file, licence, what its copyright file must say for that to be so, converter
SOURCES = [
    ("bible-kjv-text", "bible_kjv.txt", "public domain (King James Version of 1611)", "copyright for the King James Version text of the Bible is expired", bible),
    ("debian-policy", "debian_policy.txt", "GPL-2+", "General Public License", manual("usr/share/doc/debian-policy/policy.txt.gz")),
    ("developers-reference", "developers_reference.txt", "GPL-2+", "General Public License", manual("usr/share/developers-reference/developers-reference.txt.gz")),
    ("dict-devil", "devils_dictionary.txt", "public domain", "public domain", devil),
    ("dict-foldoc", "foldoc.txt", "GFDL-1.1+ without invariant sections", "GNU Free Documentation", foldoc),
    ("dict-gcide", "gcide.txt", "GPL-2+", "GCIDE is free software", gcide),
    ("dict-jargon", "jargon_file.txt", "public domain", "public domain", jargon),
    ("wordnet-base", "wordnet.txt", "WordNet 3.0 licence (use, copying and change free of charge)", "Permission to use, copy, modify and distribute", wordnet),
]


# Files ----------------------------------------------------------------------------------------------------------------------


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def checked_copyright(root, package, evidence):
    path = root / "usr/share/doc" / package / "copyright"
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    if evidence.lower() not in " ".join(text.lower().split()):
        raise SystemExit(f"quickstart_corpus: {package}'s copyright file does not say \"{evidence}\": its licence has changed, look at it")
    return text


def write_documents(path, documents):
    count = 0
    # What is no character (half of a surrogate pair) becomes a question mark.
    with open(path, "w", encoding="utf-8", errors="replace", newline="\n") as out:
        for document in documents:
            clean = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ufffd]", "", document).strip()
            if not clean or SEPARATOR in clean:
                continue
            out.write(("" if count == 0 else f"{SEPARATOR}\n") + clean + "\n")
            count += 1
    return count


def make(root, out):
    partial = out / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "licences").mkdir(parents=True)
    rows, total = [], 0
    for package, name, licence, evidence, convert in SOURCES:
        package_root = root / package
        (partial / "licences" / f"{package}.copyright").write_text(checked_copyright(package_root, package, evidence))
        documents = write_documents(partial / name, convert(package_root))
        size = (partial / name).stat().st_size
        total += size
        version = (package_root / "VERSION").read_text().strip()
        rows.append(f"| {name} | {package} {version} | {licence} | {documents} | {size} | {sha256(partial / name)} |")
        print(f"quickstart_corpus: {name}: {documents} documents, {size / 1e6:.1f} MB", flush=True)
    if total < LEAST_BYTES:
        raise SystemExit(f"quickstart_corpus: {total} bytes of text came out, at least {LEAST_BYTES} were expected")
    publish(partial, out, rows, total)


def publish(partial, out, rows, total):
    """SOURCES.md last: where it stands, everything does."""
    (out / "SOURCES.md").unlink(missing_ok=True)
    shutil.rmtree(out / "licences", ignore_errors=True)
    for path in sorted(partial.iterdir()):
        os.replace(path, out / path.name)
    partial.rmdir()
    head = (
        "# Where this text comes from\n\nMade by Stoa's scripts/quickstart_corpus from Debian packages; their copyright files are "
        f"in licences/. Documents stand between lines {SEPARATOR}.\n\n"
        "| file | package | licence of the text | documents | bytes | sha256 |\n|---|---|---|---|---|---|\n"
    )
    (out / "SOURCES.md").write_text(head + "\n".join(rows) + "\n")
    print(f"quickstart_corpus: {total / 1e6:.1f} MB in {out}")


def is_complete(out, files=frozenset(name for _, name, *_ in SOURCES)):
    sources = out / "SOURCES.md"
    if not sources.exists():
        return False
    rows = re.findall(r"^\| (\S+\.txt) \|.*\| ([0-9a-f]{64}) \|$", sources.read_text(), re.M)
    return {name for name, _ in rows} == files and all((out / name).exists() and sha256(out / name) == digest for name, digest in rows)


def main(arguments):
    if arguments == ["packages"]:
        # bible-kjv has the program that reads bible-kjv-text.
        print("\n".join(["bible-kjv"] + [package for package, *_ in SOURCES]))
        return 0
    if len(arguments) == 2 and arguments[0] == "check":
        return 0 if is_complete(Path(arguments[1])) else 1
    if len(arguments) == 3 and arguments[0] == "make":
        make(Path(arguments[1]).resolve(), Path(arguments[2]))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
