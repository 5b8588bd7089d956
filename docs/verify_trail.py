# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography", "rfc8785"]
# ///
"""Checks an exported audit trail with nothing of Paramedic: `python verify_trail.py EXPORT.jsonl PUBLIC_KEY.pem`."""

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
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
        content = json.dumps(line["content"]["said"], sort_keys=True, separators=(",", ":"))
        if sha256(bytes.fromhex(line["content"]["salt"]) + content.encode()) != entry["content_digest"]:
            yield f"the content beside entry {entry['seq']} was changed"


def is_signed(mark: Line, key: Any) -> bool:
    try:
        key.verify(bytes.fromhex(mark["signature"]), without("signature", mark))
    except (InvalidSignature, ValueError, TypeError, AttributeError):
        return False
    return True


def generation_of(entry: Line) -> int:
    """The generation that begins with this entry; 0, which none has, where it names none."""
    generation = entry["data"].get("generation")
    return generation if isinstance(generation, int) else 0


def generation_faults(generations: list[tuple[int, int]], signed: int) -> Iterator[str]:
    """A later generation counts only where the key has signed its first entry, or one after it."""
    for (_, before), (begins, generation) in pairwise(generations):
        if generation <= before:
            yield f"entry {begins} begins generation {generation} after generation {before}"
        if begins > signed:
            yield f"entry {begins} begins generation {generation}, and this key has signed neither it nor any entry since"


def is_old(times: list[str]) -> bool:
    """A checkpoint is signed every minute: entries that span ten without one have lost theirs."""
    moments = [datetime.fromisoformat(at) for at in times]
    return bool(moments) and moments[-1] - moments[0] > timedelta(minutes=10)


def checkpoint_faults(mark: Line, hashes: dict[int, str], generations: list[tuple[int, int]]) -> Iterator[str]:
    """A checkpoint saw this trail, or the earlier generation that a restore from a backup left behind."""
    seq, generation = mark["seq"], mark["generation"]
    here = next((number for begins, number in reversed(generations) if begins <= seq), 1)
    if generation == here and seq >= min(hashes) and hashes.get(seq) != mark["hash"]:
        yield f"the checkpoint at entry {seq} saw another trail, or one that was cut off since"
    if generation != here and generation >= generations[-1][1]:
        yield f"the checkpoint at entry {seq} is of generation {generation}, and no entry tells of that restore"


def seal_faults(seal: Line, segment: tuple[int, str]) -> Iterator[str]:
    """A seal after the entries says that they are the whole segment; one before them, where they go on."""
    if segment != (seal["seq"], seal["hash"]):
        yield f"the seal at entry {seal['seq']} is of another segment"


def unsigned_faults(generations: list[tuple[int, int]], signed: list[int], times: list[str]) -> Iterator[str]:
    yield from generation_faults(generations, max(signed, default=0))
    if not signed and is_old(times):
        yield "the trail has no checkpoint at all"


def faults(export: Path, public_key: Path) -> Iterator[str]:
    key = load_pem_public_key(public_key.read_bytes())
    generations, marks, times, signed = [(0, 1)], [], [], []
    with export.open(encoding="ascii") as lines:
        store = json.loads(next(lines))["store"]
        seq, previous = 0, sha256(f"paramedic trail {store}".encode())
        hashes = {seq: previous}
        for line in map(json.loads, lines):
            body = line.get(line["kind"], {})
            if line["kind"] == "entry":
                seq += 1
                yield from entry_faults(line, seq, previous)
                hashes[body["seq"]] = previous = body["hash"]
                times = [*times[:1], body["at"]]
                if body["what"] == "store.restored":
                    generations.append((body["seq"], generation_of(body)))
            elif body.get("store") != store:
                yield f"the {line['kind']} at entry {body.get('seq')} is of another store"
            elif not is_signed(body, key):
                yield f"the {line['kind']} at entry {body['seq']} is not signed by this key"
            elif line["kind"] == "checkpoint":
                marks.append(body)
            elif len(hashes) > 1:
                yield from seal_faults(body, (seq, previous))
                signed.append(body["seq"])
            else:
                seq, previous, generations = body["seq"], body["hash"], [(0, body["generation"])]
                hashes, signed = {seq: previous}, [seq]
    for mark in marks:
        yield from checkpoint_faults(mark, hashes, generations)
    signed += [mark["seq"] for mark in marks if hashes.get(mark["seq"]) == mark["hash"]]
    yield from unsigned_faults(generations, signed, times)


found = list(faults(*map(Path, sys.argv[1:])))
sys.stdout.write("\n".join(found or ["the trail is whole"]) + "\n")
sys.exit(bool(found))
