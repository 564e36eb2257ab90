#!/usr/bin/env python3
"""Checks exports against the other verbs, sharing no code with the program.

    .ci/check_export.py --traces target/release/traces ROOT…

Of a timeline: every slice lies in the one around it, no two requests of a lane overlap,
ids and times are whole numbers, and the parts of each request add up to its time and are
those that `traces list` prints.
"""

import argparse
import json
import subprocess
from collections import defaultdict

PARTS = ["proxy", "load", "queue", "read", "write", "stall", "other"]


def run(traces, *arguments):
    done = subprocess.run([traces, *arguments], capture_output=True, check=False)
    assert done.returncode in (0, 3), (arguments, done.returncode, done.stderr.decode())
    return done.stdout


def whole(event, name):
    number = event[name]
    assert isinstance(number, int) and not isinstance(number, bool), (name, event)
    assert 0 <= number <= 2**53, (name, event)
    return number


def check_chrome(traces, root):
    timeline = json.loads(run(traces, "export", "--root", root, "--all", "--format", "chrome"))
    listed = [json.loads(line) for line in run(traces, "list", "--root", root, "--all", "--format", "ndjson").splitlines()]
    by_id = {request["id"]: request for request in listed}
    assert len(by_id) == len(listed)
    processes, lanes, tracks = {}, set(), defaultdict(list)
    for event in timeline["traceEvents"]:
        process, lane = whole(event, "pid"), whole(event, "tid")
        if event["ph"] == "M":
            if event["name"] == "process_name":
                assert process not in processes, event
                processes[process] = event["args"]["name"]
            else:
                assert (process, lane) not in lanes, event
                lanes.add((process, lane))
            continue
        whole(event, "ts")
        assert process in processes, event
        if event["ph"] == "X":
            assert (process, lane) in lanes, event
            tracks[process, lane].append((whole(event, "ts"), -whole(event, "dur"), event))
    slices = requests = 0
    for track in tracks.values():
        stack = []
        for begin, negative, event in sorted(track, key=lambda slice: slice[:2]):
            end = begin - negative
            while stack and stack[-1][0] <= begin and not (stack[-1][0] == begin == end and event["cat"] == "part"):
                stack.pop()
            assert not stack or end <= stack[-1][0], ("leaves the slice around it", event)
            assert (event["cat"] == "request") == (not stack), ("requests overlap, or a part is alone", event)
            if stack:
                stack[0][1][event["name"]] += event["dur"]
            else:
                parts = defaultdict(int)
                check_request(by_id[event["args"]["id"]], event)
                requests += 1
                event["parts"] = parts
                stack = [(end, parts)]
                slices -= 1
            if event["cat"] == "part":
                stack.append((end, stack[0][1]))
            slices += 1
        for _, _, event in track:
            if event["cat"] == "request":
                timing = by_id[event["args"]["id"]]["timing"]
                for part in PARTS:
                    expected = (timing[f"{part}_ms"] or 0) * 1000
                    assert event["parts"][part] == expected, (part, event, timing)
                known = [timing[f"{part}_ms"] for part in PARTS if timing[f"{part}_ms"] is not None]
                if known:
                    assert sum(event["parts"].values()) == event["dur"], event
    assert processes, "no process"
    return f"{requests} requests with {slices} parts in {len(processes)} processes"


def check_request(request, event):
    timing = request["timing"]
    took = timing["wall_ms"] if timing["wall_ms"] is not None else timing["total_ms"]
    assert event["dur"] == took * 1000, (event, timing)
    for name, value in event["args"].items():
        expected = request.get(name, timing.get(name))
        if name == "confidence":
            expected = request["join"]["confidence"]
        assert value == expected, (name, value, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", required=True)
    parser.add_argument("roots", nargs="+")
    arguments = parser.parse_args()
    for root in arguments.roots:
        print(f"{root}: chrome: {check_chrome(arguments.traces, root)}")


if __name__ == "__main__":
    main()
