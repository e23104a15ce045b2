#!/usr/bin/env python3
"""check.py PAIR DIR: compare what rebuild.sh left in DIR with expected.json; exit 1 if anything differs.
check.py --list PAIR: the packages expected."""
import hashlib
import json
import sys
from pathlib import Path


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expected(pair):
    pairs = json.loads((Path(__file__).parent / "expected.json").read_text())
    if pair not in pairs:
        sys.exit(f"expected.json: no pair {pair}")
    wanted = pairs[pair]
    a = wanted["packages"]["a"]
    b = {name: version for name, version in (a | wanted["packages"]["b"]).items() if version}
    return wanted | {"packages": {"a": a, "b": b}}


def check(pair, directory):
    wanted, same = expected(pair), True
    for name, image in wanted["images"].items():
        path = directory / name
        if not path.exists():
            print(f"{pair} {name}: not built (erofs-utils >= 1.9 does)")
            continue
        digest = sha256(path)
        if digest == image["recordedSha256"]:
            print(f"{pair} {name}: same as recorded, {image['bytes']} bytes")
        elif digest == image["sha256"]:
            print(f"{pair} {name}: same, {image['bytes']} bytes")
        else:
            print(f"{pair} {name}: differs, {path.stat().st_size} bytes instead of {image['bytes']}, sha256 {digest}")
            same = False
    for side in "ab":
        found = dict(line.split() for line in (directory / f"{side}.packages").read_text().splitlines())
        superseded = [
            f"  {name}: {found.get(name, 'absent')} instead of {wanted['packages'][side].get(name, 'none')}"
            for name in sorted(found.keys() | wanted["packages"][side].keys())
            if found.get(name) != wanted["packages"][side].get(name)
        ]
        if superseded:
            print(f"{pair} {side}: packages are newer than the recorded ones, which left the mirror; this is no fault of the recipe")
            print(*superseded, sep="\n")
    return same


match sys.argv[1:]:
    case ["--list", pair]:
        versions = expected(pair)["packages"]
        for name in sorted(versions["a"].keys() | versions["b"].keys()):
            a, b = versions["a"].get(name, "absent"), versions["b"].get(name, "absent")
            print(name, a if a == b else f"{a} -> {b}")
    case [pair, directory]:
        sys.exit(0 if check(pair, Path(directory)) else 1)
    case _:
        sys.exit(__doc__)
