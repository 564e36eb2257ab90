#!/usr/bin/env python3
"""Run `traces replay` against a real llama.cpp server, and print how far its times lie from the server's.

    end_to_end.py --traces target/release/traces

Needs xllamacpp: see requirements.txt. Runs the tests in replay_server.rs with a server, then
measures 20 cold requests. Times are printed and not checked: a machine may be busy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from server import Server

RUNS = 20
TRACE = {
    "timestamp": "2025-11-16T10:00:00.000Z",
    "mode": "lmstudio",
    "request": {
        "method": "POST",
        "url": "/v1/messages",
        "headers": {},
        "body": {
            "model": "any",
            "max_tokens": 64,
            "system": "You answer questions about plants, and about nothing else. " * 8,
            "messages": [{"role": "user", "content": "How often does a fern want water?"}],
        },
    },
}


def test(server):
    environment = {**os.environ, "TRACES_TEST_SERVER": server.url}
    command = ["cargo", "test", "--quiet", "-p", "traces-cli", "--test", "it", "replay_server::"]
    subprocess.run(command, check=True, env=environment)


def measure(server, traces, folder):
    """Print the median difference between our times and the server's."""
    trace = os.path.join(folder, "trace.json")
    with open(trace, "w", encoding="utf-8") as file:
        json.dump(TRACE, file)
    command = [traces, "replay", trace, "--url", server.url, "--api", "openai", "--cold"]
    command += ["--max-tokens", "64", "--repeat", str(RUNS), "--format", "json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    runs = json.loads(printed)["runs"]
    first = [run["ttft_ms"] - run["server"]["prompt_ms"] for run in runs]
    total = [run["total_ms"] - run["server"]["prompt_ms"] - run["server"]["generation_ms"] for run in runs]
    for name, differences, ours in (("TTFT", first, "ttft_ms"), ("total", total, "total_ms")):
        median = statistics.median(run[ours] for run in runs)
        beyond = statistics.median(differences)
        print(f"{name}: {median:.1f} ms, {beyond:+.2f} ms beside the server's own timings (medians of {len(runs)})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", required=True, help="the program to measure with")
    traces = os.path.abspath(parser.parse_args().traces)
    with tempfile.TemporaryDirectory() as folder, Server(folder) as server:
        test(server)
        measure(server, traces, folder)


if __name__ == "__main__":
    main()
