"""About 1 GB of mixed text for benchmarks, from Debian's documentation and source packages; `quickstart_corpus --large` fetches
them. Prose in thirty languages, manuals, interface documentation, C, C++, Java and Python. Standard library only.

  large_corpus.py packages                names of the packages
  large_corpus.py make ROOT OUTDIR        as quickstart_corpus.py
  large_corpus.py check OUTDIR

A corpus to measure with on the machine that made it: licences/ has the packages' copyright files, none of which was judged.
"""

import gzip
import html
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import quickstart_corpus as base

LANGUAGES = "ca cs da de el en-us es et eu fi fr gl hi hu id it ja km ko nl pl pt pt-br ru sl sv tr vi zh-cn zh-tw".split()
LEAST_BYTES = 1_000_000_000
# Bytes of text that one package may give: no kind of text outweighs the others.
MOST_BYTES = 90_000_000
MOST_OF_CODE = 200_000_000

BREAKS = re.compile(r"</?(?:p|div|br|li|ul|ol|tr|td|th|table|h[1-6]|pre|dt|dd|dl|section|title|code-block)\b[^>]*>", re.I)
NO_TEXT = re.compile(r"<(script|style|head|nav)\b.*?</\1>|<!--.*?-->", re.I | re.S)
TAG = re.compile(r"<[^>]*>")


def html_text(source):
    text = html.unescape(TAG.sub("", BREAKS.sub("\n", NO_TEXT.sub("", source))))
    text = re.sub(r"[ \t\u00a0]+", " ", text)
    return re.sub(r"\s*\n\s*(\n\s*)*", "\n", text)


def roff_text(source):
    lines = [re.sub(r"^\.\w+ ?", "", line) for line in source.split("\n") if not line.startswith(('.\\"', "'\\\""))]
    return re.sub(r"\\f[A-Z]|\\f\([A-Z]+|\\&|\\,|\\/", "", "\n".join(lines)).replace("\\-", "-").replace("\\(aq", "'")


def files_below(root, patterns):
    paths = {path for pattern in patterns for path in root.rglob(pattern)}
    return [path for path in sorted(paths) if path.is_file() and not path.is_symlink()]


def read(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")


def pages(root):
    for path in files_below(root, ["*.html", "*.htm", "*.xhtml", "*.page"]):
        yield html_text(read(path))


def manuals(root):
    for path in files_below(root, ["man[1-8]/*.gz"]):
        yield roff_text(read(path))


def linux(root):
    """Every fourth file: the whole is 1.2 GB."""
    archive = next(root.glob("usr/src/linux-source-*.tar.xz"))
    with tarfile.open(archive, "r:xz") as files:
        taken = 0
        for member in files:
            if member.isfile() and member.name.endswith((".c", ".h", ".S", ".rst", ".txt", ".py", ".sh")):
                taken += 1
                if taken % 4 == 0:
                    yield files.extractfile(member).read().decode("utf-8", "replace")


def java(root):
    with zipfile.ZipFile(next(path for path in root.rglob("src.zip") if path.is_file())) as files:
        for name in sorted(files.namelist()):
            if name.endswith(".java"):
                yield files.read(name).decode("utf-8", "replace")


SOURCES = [(f"libreoffice-help-{language}", pages, MOST_BYTES) for language in LANGUAGES]
SOURCES += [(f"manpages-{language}", manuals, MOST_BYTES) for language in "de es fr ja pl ru zh".split()]
SOURCES += [(f"debian-reference-{language}", pages, MOST_BYTES) for language in "de en fr ja zh-cn zh-tw".split()]
SOURCES += [
    ("linux-source-6.1", linux, MOST_OF_CODE),
    ("openjdk-17-source", java, MOST_OF_CODE),
]
SOURCES += [
    (package, pages, MOST_BYTES)
    for package in (
        "cppreference-doc-en-html erlang-doc ghc-doc gnome-user-docs installation-guide-amd64 libboost1.74-doc libglib2.0-doc libgtk-4-doc "
        "libstdc++-12-doc linux-doc-6.1 llvm-14-doc openjdk-17-doc postgresql-doc-15 python-django-doc python-pandas-doc python-scipy-doc "
        "python3.11-doc qtbase5-doc-html rust-doc sagemath-doc scala-doc"
    ).split()
]
SOURCES += [("manpages-dev", manuals, MOST_BYTES)]


def capped(documents, most_bytes):
    for document in documents:
        most_bytes -= len(document.encode("utf-8", "replace"))
        if most_bytes < 0:
            return
        yield document


def make(root, out):
    partial = out / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "licences").mkdir(parents=True)
    rows, total = [], 0
    for package, convert, most_bytes in SOURCES:
        (partial / "licences" / f"{package}.copyright").write_text(base.checked_copyright(root / package, package, ""))
        name = f"{package}.txt"
        documents = base.write_documents(partial / name, capped(convert(root / package), most_bytes))
        size = (partial / name).stat().st_size
        total += size
        version = (root / package / "VERSION").read_text().strip()
        rows.append(f"| {name} | {package} {version} | see licences/ | {documents} | {size} | {base.sha256(partial / name)} |")
        print(f"quickstart_corpus: {name}: {documents} documents, {size / 1e6:.1f} MB", flush=True)
    if total < LEAST_BYTES:
        raise SystemExit(f"quickstart_corpus: {total} bytes of text came out, at least {LEAST_BYTES} were expected")
    base.publish(partial, out, rows, total)


def main(arguments):
    if arguments == ["packages"]:
        print("\n".join(package for package, _, _ in SOURCES))
        return 0
    if len(arguments) == 2 and arguments[0] == "check":
        return 0 if base.is_complete(Path(arguments[1]), {f"{package}.txt" for package, _, _ in SOURCES}) else 1
    if len(arguments) == 3 and arguments[0] == "make":
        make(Path(arguments[1]).resolve(), Path(arguments[2]))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
