#!/usr/bin/env python3
"""How long was waited for each model, day by day? Needs nothing but Python.

    traces list --all --kind conversation --format ndjson | python3 examples/waiting.py
"""

import csv
import json
import sys
from collections import defaultdict


def main(lines):
    waited = defaultdict(lambda: [0, 0])
    for line in lines:
        request = json.loads(line)
        # What is unknown is null, never 0.
        total_ms = (request["timing"] or {}).get("total_ms")
        if total_ms is not None and request["timestamp"]:
            row = waited[request["timestamp"][:10], request["model"] or "unknown"]
            row[0] += 1
            row[1] += total_ms
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["day", "model", "requests", "minutes"])
    for (day, model), (requests, total_ms) in sorted(waited.items()):
        out.writerow([day, model, requests, f"{total_ms / 60_000:.1f}"])


if __name__ == "__main__":
    main(sys.stdin)
