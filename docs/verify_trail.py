# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography", "rfc8785"]
# ///
"""Checks an exported audit trail with nothing of Paramedic: `python verify_trail.py EXPORT.jsonl PUBLIC_KEY.pem`."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Line = dict[str, Any]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def without(name: str, fields: Line) -> bytes:
    return rfc8785.dumps({key: value for key, value in fields.items() if key != name})


def entry_faults(line: Line, seq: int, previous: str) -> Iterator[str]:
    entry = line["entry"]
    if (entry["seq"], entry["previous"]) != (seq, previous):
        yield f"entry {entry['seq']} does not follow entry {seq - 1}"
    if sha256(without("hash", entry)) != entry["hash"]:
        yield f"entry {entry['seq']} was changed"
    if "content" in line:
        said = json.dumps(line["content"]["said"], sort_keys=True, separators=(",", ":"))
        if sha256(bytes.fromhex(line["content"]["salt"]) + said.encode()) != entry["content_digest"]:
            yield f"the content beside entry {entry['seq']} was changed"


def checkpoint_faults(mark: Line, key: Any, store: str, hashes: dict[int, str]) -> Iterator[str]:
    try:
        key.verify(bytes.fromhex(mark["signature"]), without("signature", mark))
    except InvalidSignature:
        yield f"the checkpoint at entry {mark['seq']} is not signed by this key"
    if mark["store"] != store or hashes.get(mark["seq"]) != mark["hash"]:
        yield f"the checkpoint at entry {mark['seq']} saw another trail, or one that was cut off since"


def faults(export: Path, public_key: Path) -> Iterator[str]:
    key = load_pem_public_key(public_key.read_bytes())
    with export.open(encoding="ascii") as lines:
        store = json.loads(next(lines))["store"]
        hashes = {0: sha256(f"paramedic trail {store}".encode())}
        previous = hashes[0]
        for line in map(json.loads, lines):
            if line["kind"] == "entry":
                yield from entry_faults(line, len(hashes), previous)
                hashes[line["entry"]["seq"]] = previous = line["entry"]["hash"]
            else:
                yield from checkpoint_faults(line["checkpoint"], key, store, hashes)


found = list(faults(*map(Path, sys.argv[1:])))
sys.stdout.write("\n".join(found or ["the trail is whole"]) + "\n")
sys.exit(bool(found))
