#!/usr/bin/env python3
"""Prints what llvm-cov exports, for the files whose path has a match of the argument."""

import json
import os
import re
import sys


def percent(counts):
    return f"{counts['covered']:>6} of {counts['count']:>5} {100 * counts['covered'] / max(counts['count'], 1):6.1f} %"


def main():
    files = json.load(sys.stdin)["data"][0]["files"]
    found = {os.path.normpath(file["filename"]): file["summary"] for file in files}
    found = {name: summary for name, summary in sorted(found.items()) if re.search(sys.argv[1], name)}
    kinds = ("lines", "regions")
    total = {kind: {key: sum(file[kind][key] for file in found.values()) for key in ("count", "covered")} for kind in kinds}
    for name, summary in [*found.items(), ("/crates/all of them", total)]:
        print(f"{name.split('/crates/')[-1]:44}", *(f"{percent(summary[kind])} {kind}" for kind in kinds))


if __name__ == "__main__":
    main()
