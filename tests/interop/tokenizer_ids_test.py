"""Token ids of `stoa tokenizer encode` against Hugging Face's `tokenizers`: tokenizers trained here by their library in GPT-2's and Llama
3's style, on text of many scripts, code, emoji, random characters, broken UTF-8 and random bytes; and transformers opens them.

tokenizer_ids_test.py [--megabytes N] [--vocabulary FILE]...: N megabytes of text in all (20). --vocabulary: tokenizer.json files to use
instead of those trained here.

Their library takes str only. For text that is not valid UTF-8 it cuts the text with each invalid byte replaced by a private-use character,
which is of the same class "other"; then the bytes are put back in the byte alphabet and its model merges each piece."""
import argparse
import json
import pathlib
import random
import sys

import byte_level
import numpy
import tokenizers
from claims import SCRATCH, claim, stoa
from tokenizers import AddedToken, Tokenizer

PIECE = 250_000  # bytes of a document, about
FIRST_SUBSTITUTE = 0x10FE00  # + the invalid byte; private use

SENTENCES = """The quick brown fox isn't lazy; it's 3.14159 times "faster" than 1,234,567 others (we've CHECKED, THEY'LL see).
Zażółć gęślą jaźń. Příliš žluťoučký kůň. Été à l'œuvre, naïve façade. Ærøskøbing, Łódź, Straße, ĲSSELMEER.
Съешь же ещё этих мягких французских булок. Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Հայերեն տեքստ։ ქართული ენა.
العربية: نص ٣٤٥ مع أرقام، وعلامات ترقيم؟ עברית: טקסט עם ניקוד שָׁלוֹם. فارسی ۱۲۳ می‌خواهم.
हिन्दी में क्षत्रिय १२३। বাংলা লেখা ৪৫৬। தமிழ் எழுத்து. తెలుగు. ภาษาไทยไม่มีช่องว่าง ๑๒๓. ພາສາລາວ. မြန်မာ. ភាសាខ្មែរ។ བོད་ཡིག
日本語の文章、カタカナとひらがな。中文没有空格，全角１２３。한국어 문장입니다. 𠀀𠀁𪛖𱍐 繁體字
🙂🙂 👩‍👩‍👧‍👦 🇨🇭 ❤️ ⅷ Ⅷ ½ ² ₃ ① 𝔘𝔫𝔦 𝟘𝟙 e\u0301 A\u030a ﬁ ﬆ ſ 'ſ K Å \u00a0\u3000\u2028\u0085\u180e\u200b\ufeff
def f(x):\n    return x**2  # comment\r\n\tif (a && b) { printf("%d\\n", x->y[0]); }\n\n\n<div class="a">&nbsp;</div>\n  \t \n x""".splitlines(keepends=True)
FIRST_NEW_LETTERS = [0x31350, 0x1E030, 0x11F02, 0x10D4A, 0x16D43, 0x1C89, 0xA7CB, 0x1E4D0, 0x2EBF0]  # of Unicode 15 and later


def words(rng, size):
    text, length = [], 0
    while length < size:
        sentence = rng.choice(SENTENCES)
        begin = rng.randrange(len(sentence))
        text.append(sentence[begin : begin + rng.randrange(1, 80)])
        text.append(rng.choice([" ", "  ", "\n", "", "\r\n\r\n", "\t", "'s ", "'LL ", "<|endoftext|>", " ", " "]))
        length += len(text[-2].encode()) + len(text[-1])
    return "".join(text)[:size].encode()


def characters(rng, size):
    """Any characters of any plane, many spaces and apostrophes between them."""
    ranges = [(0x20, 0x7F), (0, 0x20), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x33480), (0xE0000, 0x110000)]
    text = []
    for _ in range(size // 3):
        kind = rng.random()
        if kind < 0.3:
            text.append(rng.choice(" \n\r\t'\u00a0\u3000\u0085aA1"))
        elif kind < 0.32:
            text.append(chr(rng.choice(FIRST_NEW_LETTERS)))
        else:
            text.append(chr(rng.randrange(*rng.choice(ranges))))
    return "".join(text).encode()


def broken(rng, size):
    """Text with bytes lost, doubled and changed."""
    text = bytearray(words(rng, size))
    for _ in range(size // 40):
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(2)] = rng.randbytes(rng.randrange(3))
    return bytes(text)


def random_bytes(rng, size):
    return rng.randbytes(size)


def source(rng, size):
    """Code of the running Python."""
    return rng.choice(SOURCES).read_bytes()[:size]


SOURCES = sorted(pathlib.Path(json.__file__).parent.parent.glob("*.py"))
KINDS = [words, characters, broken, random_bytes, source]


def trained(kind, texts):
    path = SCRATCH / f"{kind}.json"
    path.write_text(byte_level.trained(kind, texts, 6000), "utf-8")
    return path


def alphabet():
    """Character of the byte alphabet by byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + n) for n, b in enumerate(others)}}


ALPHABET = alphabet()


def substituted(raw):
    """`raw` as str, each byte that is of no valid character as a private-use character of its own."""
    text = raw.decode("utf-8", errors="surrogateescape")
    return "".join(chr(FIRST_SUBSTITUTE + ord(c) - 0xDC00) if 0xDC80 <= ord(c) < 0xDD00 else c for c in text)


def their_ids(tokenizer, documents):
    """`tokenizer` treats special tokens as text."""
    valid, ids = [], [None] * len(documents)
    for number, raw in enumerate(documents):
        try:
            valid.append((number, raw.decode("utf-8")))
        except UnicodeDecodeError:
            ids[number] = ids_of_invalid(tokenizer, raw)
    for (number, _), encoding in zip(valid, tokenizer.encode_batch_fast([text for _, text in valid], add_special_tokens=False)):
        ids[number] = encoding.ids
    return ids


def ids_of_invalid(tokenizer, raw):
    stands_for = {}
    for byte in range(0x80, 0x100):
        spelled = "".join(ALPHABET[b] for b in chr(FIRST_SUBSTITUTE + byte).encode())
        stands_for[spelled] = ALPHABET[byte]
    prefix = "".join(ALPHABET[b] for b in chr(FIRST_SUBSTITUTE + 0x80).encode())[:2]
    ids, known = [], {}
    for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(substituted(raw)):
        if piece not in known:
            whole = piece
            at = piece.find(prefix)
            while at >= 0:
                if piece[at : at + 4] in stands_for:
                    piece = piece[:at] + stands_for[piece[at : at + 4]] + piece[at + 4 :]
                at = piece.find(prefix, at + 1)
            known[whole] = [token.id for token in tokenizer.model.tokenize(piece)]
            piece = whole
        ids += known[piece]
    return ids


def our_ids(path, documents, *words_of_command):
    names = []
    for number, raw in enumerate(documents):
        names.append(SCRATCH / f"document_{number}")
        names[-1].write_bytes(raw)
    lines = stoa("tokenizer", "encode", path, *names, *words_of_command).split("\n")[:-1]
    for name in names:
        name.unlink()
    return [numpy.array(line.split(), dtype=numpy.int32) for line in lines]


def compare(path, documents):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    tokens = 0
    theirs = their_ids(tokenizer, documents)
    ours = our_ids(path, documents)
    if len(ours) != len(theirs):
        sys.exit(f"FAILED: {len(ours)} lines of ids for {len(theirs)} documents")
    for number, (mine, other) in enumerate(zip(ours, theirs)):
        other = numpy.array(other, dtype=numpy.int32)
        if not numpy.array_equal(mine, other):
            at = int((mine[: len(other)] != other[: len(mine)]).argmax())
            kept = SCRATCH.parent / "tokenizer_ids_difference"
            kept.write_bytes(documents[number])
            sys.exit(f"FAILED: {path.name}: document {number} ({documents[number][:60]!r}...): ids differ from token {at} on: "
                     f"{mine[at:at + 6]} and theirs {other[at:at + 6]}; the document is in {kept}")
        tokens += len(other)
    return tokens


def documents_of(rng, size):
    documents, total = [], 0
    while total < size:
        kind = KINDS[len(documents) % len(KINDS)]
        documents.append(kind(rng, rng.choice([1, 7, 100, 3000, PIECE, PIECE])))
        total += len(documents[-1])
    return documents, total


def check_added_tokens(rng):
    """Random added tokens with random flags in random text: recognised as their library does. Where a token that takes the spaces
    after it meets one that begins with spaces, their library panics: such tokens are in different rounds."""
    tokenizer = Tokenizer.from_file(str(SCRATCH / "llama3.json"))
    takes_spaces_after = rng.random() < 0.5
    contents = ["<x>", "<x><y>", "<y>", "ab", "a b", "é", "日本", "_u_", "hello"]
    contents += [] if takes_spaces_after else [" lead", "  ", "\n"]
    for content in contents:
        flags = {name: rng.random() < 0.3 for name in ("special", "single_word", "lstrip", "normalized")}
        tokenizer.add_tokens([AddedToken(content, rstrip=takes_spaces_after and rng.random() < 0.5, **flags)])
    path = SCRATCH / "added.json"
    path.write_text(tokenizer.to_str(), "utf-8")
    parts = ["<x>", "<y>", "<|end_of_text|>", "ab", "a", "b", " ", "  ", "lead", "é", "日", "本", "_u_", "u", "\n", "hello", "1", "\u0301", "."]
    texts = ["".join(rng.choices(parts, k=rng.randrange(1, 30))) for _ in range(700)]
    ours = our_ids(path, [text.encode() for text in texts], "--recognise-added-tokens")
    for text, mine, other in zip(texts, ours, tokenizer.encode_batch(texts, add_special_tokens=False)):
        if mine.tolist() != other.ids:
            sys.exit(f"FAILED: added tokens in {text!r}: {mine.tolist()} and theirs {other.ids}: {path.read_text()[:3000]}")


def check_round_trip(path):
    """What Stoa writes says the same as what it read. Returns the file that it wrote."""
    text = stoa("tokenizer", "show", path, "--json")
    claim(json.loads(text) == json.loads(path.read_text("utf-8")), f"{path.name} is written as it was read")
    written = path.with_name("written_" + path.name)
    written.write_text(text, "utf-8")
    return written


def check_transformers(path):
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    again = PreTrainedTokenizerFast(tokenizer_file=str(path))
    folder = SCRATCH / "model"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_bytes(path.read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    auto = AutoTokenizer.from_pretrained(str(folder))
    text = "Hello  world's 12345 日本語 🙂\n\n x"
    ids = our_ids(path, [text.encode()])[0].tolist()
    claim(ids == again.encode(text, add_special_tokens=False) == auto.encode(text, add_special_tokens=False),
          f"transformers opens {path.name} and gives the same ids")
    file = SCRATCH / "ids"
    file.write_text(" ".join(map(str, ids)))
    claim(stoa("tokenizer", "decode", path, file) == text, f"stoa tokenizer decode gives back the text of {path.name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocabulary", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    texts = [words(rng, 300_000).decode("utf-8", errors="ignore"), *(path.read_text("utf-8", errors="ignore") for path in SOURCES[:40])]
    paths = [trained(kind, texts) for kind in ("gpt2", "llama3")]
    used = options.vocabulary or paths
    total, tokens, round_number = 0, 0, 0
    while total < options.megabytes * 1e6:
        documents, size = documents_of(rng, min(8_000_000, options.megabytes * 1e6 / len(used)))
        for path in used if options.megabytes < 20 else [used[round_number % len(used)]]:
            tokens += compare(path, documents)
            total += size
        round_number += 1
    claim(tokens > 0, f"{total / 1e6:.1f} MB, {tokens} ids: none differs from tokenizers {tokenizers.__version__}")
    for _ in range(12):
        check_added_tokens(rng)
    claim(True, "added tokens with any flags are recognised as by tokenizers, 12 x 700 texts")
    check_round_trip(SCRATCH / "added.json")
    for path in paths:
        check_transformers(check_round_trip(path))


if __name__ == "__main__":
    main()
