"""Croissant's own validator (mlcroissant) accepts what `stoa data describe` writes, and its loader reads the records."""
import gzip
import hashlib
import json
import logging
import subprocess

import mlcroissant
from claims import SCRATCH, claim, stoa

# Texts that are no words, numbers or dates alone, and none that ends in space: the loader's table reader keeps them.
DOCUMENTS = [{"text": f"Document {i} of a small set,\nwith \"quotes\", caf\u00e9 and \u65e5\u672c.", "source": f"a.jsonl:{i + 1}", "words": 7 + i}
             for i in range(33)]


def compressed(text, ending):
    if ending == ".gz":
        return gzip.compress(text.encode())
    if ending == ".zst":
        return subprocess.run(["zstd", "-q", "-c"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    return text.encode()


def described(name, parts, ending, **recipe):
    """A folder with the documents in so many parts, its record, and its description by Stoa; the description's path."""
    folder = SCRATCH / name
    folder.mkdir()
    outputs = []
    for part in range(parts):
        mine = DOCUMENTS[part::parts]
        content = compressed("".join(json.dumps(document) + "\n" for document in mine), ending)
        path = f"part-{part:05}.jsonl{ending}"
        (folder / path).write_bytes(content)
        outputs.append({"path": path, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
                        "documents": len(mine)})
    step = {"name": "pii", "version": 1, "settings": {"email": "replace"}, "documents_in": 35, "documents_dropped": 2,
            "documents_changed": 1, "bytes_in": 2400, "bytes_out": 2310, "reasons": {"email": 3}, "replaced": {"email": 4},
            "samples": []}
    record = {"format": "stoa-curation", "version": 1, "name": name, "created": "2026-03-05T14:07:09Z", "stoa_version": "0.1.0",
              "recipe": {"name": name, **recipe}, "sources": [{"path": "a.jsonl", "size_bytes": 3000, "sha256": "a" * 64,
                                                               "documents": 35}],
              "steps": [step], "outputs": outputs, "documents": 33, "bytes": 2310, "languages": {"en": 32, "ja": 1}}
    (folder / "record.json").write_text(json.dumps(record))
    stoa("data", "describe", folder / "record.json")
    return folder / "croissant.json"


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def validated(path):
    """The data set as mlcroissant read it (it throws for errors), and all its warnings."""
    heard = Warnings()
    logging.getLogger("absl").addHandler(heard)
    logging.getLogger().addHandler(heard)
    dataset = mlcroissant.Dataset(jsonld=str(path))
    logging.getLogger("absl").removeHandler(heard)
    logging.getLogger().removeHandler(heard)
    return dataset, sorted(set(heard.said) | set(dataset.metadata.ctx.issues.warnings))


def loaded(dataset):
    return [{key.removeprefix("documents/"): value.decode() if isinstance(value, bytes) else value for key, value in record.items()}
            for record in dataset.records("documents")]


def in_order(documents):
    return sorted(documents, key=lambda document: document["words"])


def curated(compression):
    """What a real curation of the same documents leaves, two of them twice."""
    sources = SCRATCH / "sources.jsonl"
    sources.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS + DOCUMENTS[:2]))
    recipe = SCRATCH / "recipe.yaml"
    output = SCRATCH / f"curated_{compression}"
    recipe.write_text(f"name: sentences\noutput: {output}\nsources:\n  files: [{sources}]\npart_bytes: 1000\ncompression: {compression}\n"
                      + "".join(f"{key}: \"{value}\"\n" for key, value in full.items()) +
                      "steps:\n  - step: exact_duplicates\n  - step: pii\n")
    stoa("data", "curate", recipe)
    return output / "croissant.json"


full = {"description": "Sentences for a test.", "license": "https://creativecommons.org/licenses/by/4.0/", "creator": "A laboratory",
        "url": "https://example.org/sentences", "version": "1.2.0", "citation": "@misc{sentences}", "date_published": "2026-03-06"}
dataset, warnings = validated(described("whole", 1, "", **full))
claim(not warnings, f"the validator accepts the description of a full recipe without a warning {warnings}")
metadata = dataset.metadata
claim(metadata.ctx.conforms_to.value.endswith("/1.0"), "and reads it as Croissant 1.0")
claim(metadata.license == [full["license"]] and metadata.creators[0].name == "A laboratory" and metadata.version == "1.2.0",
      "with the recipe's licence, creator and version")
claim("email 4" in metadata.data_preprocessing_protocol[0] and "form alone" in metadata.personal_sensitive_information[0],
      "and the fields for responsible AI")
claim(in_order(loaded(dataset)) == DOCUMENTS, "one plain file loads record by record")

dataset, warnings = validated(described("packed", 1, ".gz", **full))
claim(not warnings and in_order(loaded(dataset)) == DOCUMENTS, "one gzip file loads")

dataset, warnings = validated(described("parts", 3, "", **full))
claim(not warnings and in_order(loaded(dataset)) == DOCUMENTS, "three plain files load as one set of records")

dataset, warnings = validated(described("zstd", 2, ".zst", **full))
claim(not warnings, "Zstandard parts are accepted by the validator")
try:
    loaded(dataset)
    refused = False
except Exception:  # noqa: BLE001 - any refusal will do, silence would not
    refused = True
claim(refused, "which does not read them itself, and says so rather than reading nonsense")

dataset, warnings = validated(curated("none"))
claim(not warnings and in_order(loaded(dataset)) == DOCUMENTS,
      f"a real curation without compression loads record by record from its {len(dataset.metadata.file_objects)} parts")

path = curated("zstd")
dataset, warnings = validated(path)
claim(not warnings and dataset.metadata.license == [full["license"]], "one with Zstandard is accepted by the validator")
files = {file.id: file for file in dataset.metadata.file_objects}
parts = sorted(part.name for part in path.parent.glob("part-*"))
claim(sorted(files) == parts and len(parts) > 1, f"a real curation's {len(parts)} parts are all described")
claim(all(hashlib.sha256((path.parent / part).read_bytes()).hexdigest() == files[part].sha256 for part in parts),
      "with the sha256 they have")
claim([field.name for field in dataset.metadata.record_sets[0].fields] == ["text", "source", "words"], "and the keys of their lines")
text = "".join(subprocess.run(["zstd", "-q", "-dc", path.parent / part], stdout=subprocess.PIPE, check=True).stdout.decode() for part in parts)
claim([json.loads(line) for line in text.splitlines()] == DOCUMENTS, "which are the documents, each once")

dataset, warnings = validated(described("bare", 1, ""))
named = {word for word in ("license", "version", "datePublished", "citeAs") if any(f"/{word}\"" in warning for warning in warnings)}
claim(len(named) == 4 and len(dataset.metadata.ctx.issues.warnings) == 4,
      "a recipe that says nothing is accepted, and warned of for just what it leaves to a person")
