#!/usr/bin/env python3
"""Record the real Claude Code before a real llama.cpp server with `traces record`, and compare with the server's own log.

    record.py --traces target/release/traces --claude target/claude/node_modules/.bin/claude

Needs xllamacpp: see requirements.txt. Everything stays on this machine: a scratch home, a
dummy key, and a server on loopback. What the server logs of each of its tasks is the truth:
tokens it read, tokens it had in its cache, tokens it wrote.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid

sys.dont_write_bytecode = True

from server import Server

PROMPTS = ["List three words about tests.", "Now three words about caches.", "Say which of these is longest."]
MAX_OUTPUT_TOKENS = 24
# What a client of its own would leave behind in the environment of whoever runs this.
FOREIGN = re.compile("^(ANTHROPIC|CLAUDE|OTEL|DISABLE|BETA|TRACES|XDG)_|PROXY$", re.IGNORECASE)
READ = re.compile(r"task (\d+) \| prompt eval time = .* / +(\d+) tokens")
WROTE = re.compile(r"task (\d+) \| +eval time = .* / +(\d+) tokens")
RELEASED = re.compile(r"task (\d+) \| stop processing: n_tokens = (\d+)")


def environment(home, url):
    kept = {name: value for name, value in os.environ.items() if not FOREIGN.search(name)}
    return {
        **kept,
        "HOME": home,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-dummy-key",
        "ANTHROPIC_MODEL": "tiny-random",
        "ANTHROPIC_SMALL_FAST_MODEL": "tiny-random",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(MAX_OUTPUT_TOKENS),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def record(arguments, folder, url, name, more=()):
    """Record a session of some turns, each a run of its own. Returns the folders."""
    session = str(uuid.uuid4())
    folders = []
    for turn, prompt in enumerate(PROMPTS):
        into = os.path.join(folder, f"{name}-{turn}")
        which = ["--resume" if turn else "--session-id", session]
        client = [arguments.claude, "-p", prompt, "--tools", "Read", "--system-prompt", "You are brief.", *which]
        command = [arguments.traces, "record", "--quiet", "--dir", into, *more, "--", *client]
        ran = subprocess.run(
            command,
            cwd=folder,
            env=environment(os.path.join(folder, "home"), url),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
        )
        print(f"{name} {turn}: {ran.returncode}: {ran.stdout.strip()[:60]!r} {ran.stderr.strip()}", flush=True)
        # The tiny model never ends by itself, which the client calls an error.
        assert ran.returncode == 1 and "output token" in ran.stdout, ran
        folders.append(into)
    return folders


def tasks(log):
    """What the server did, by task: (tokens of the prompt, of these cached, tokens written)."""
    found = {}
    log.seek(0)
    for line in log:
        for name, pattern in (("read", READ), ("wrote", WROTE), ("held", RELEASED)):
            if match := pattern.search(line):
                found.setdefault(int(match[1]), {})[name] = int(match[2])
    whole = [found[task] for task in sorted(found) if len(found[task]) == 3]
    # The last token that was written is in no cache yet.
    counts = [(task["held"] + 1 - task["wrote"], task["held"] + 1 - task["wrote"] - task["read"], task["wrote"]) for task in whole]
    return counts


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def attributes(item):
    return {each["key"]: next(iter(each["value"].values())) for each in item["attributes"]}


def events(folder):
    """The events of a recording: name and attributes."""
    for body in lines(os.path.join(folder, "logs.jsonl")):
        for group in body["resourceLogs"]:
            for scope in group["scopeLogs"]:
                for each in scope["logRecords"]:
                    yield each["body"]["stringValue"].removeprefix("claude_code."), attributes(each)


def spans(folder):
    for body in lines(os.path.join(folder, "traces.jsonl")):
        for group in body["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for each in scope["spans"]:
                    yield each["name"].removeprefix("claude_code."), attributes(each)


def check_files(folder, version):
    """A recording is whole, and for its owner alone. Returns the tokens that the client reports."""
    with open(os.path.join(folder, "receipt.json"), encoding="utf-8") as file:
        receipt = json.load(file)
    assert receipt["exit"] == {"code": 1} and receipt["ended"], receipt
    assert not receipt["refused"] and not receipt["lost"], receipt
    assert receipt["arrived"]["client_versions"] == [version], receipt["arrived"]
    assert receipt["arrived"]["interaction_spans"] >= 1, receipt["arrived"]
    for base, _, names in os.walk(folder):
        assert os.stat(base).st_mode & 0o777 == 0o700, base
        for name in names:
            assert os.stat(os.path.join(base, name)).st_mode & 0o777 == 0o600, name
    reported = []
    for name, found in events(folder):
        if name == "api_request":
            cached = int(found["cache_read_tokens"])
            reported.append((int(found["input_tokens"]) + cached, cached, int(found["output_tokens"])))
    bodies = [name for name in os.listdir(os.path.join(folder, "bodies")) if name.endswith(".request.json")]
    assert len(bodies) == len(reported) == receipt["bodies"]["requests"], (bodies, reported)
    first = [found["first_content_ms"] for name, found in spans(folder) if name == "llm_request"]
    assert len(first) == len(reported) and all(int(ms) > 0 for ms in first), first
    return reported


def rows(arguments, folder):
    command = [arguments.traces, "list", folder, "--kind", "all", "--format", "ndjson"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, (ran.returncode, ran.stderr, sorted(os.listdir(folder)))
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check_rows(arguments, folder, reported):
    """Rows say what the events say, and have times."""
    found = rows(arguments, folder)
    assert [row["source"] for row in found] == ["claude_code"] * len(reported), found
    timings = [row["timing"] for row in found]
    counts = [(each["prompt_tokens"], each["cached_tokens"], each["output_tokens"]) for each in timings]
    assert counts == reported, (counts, reported)
    assert all(each["ttft_ms"] > 0 for each in timings), timings


def check_sizes(arguments, kept, masked):
    """Without bodies the sizes are what they are with them, and no text is left."""
    # What the model answers is noise, and in JSON not always as long.
    sizes = ("system_chars", "system_bytes", "tool_count", "tools_bytes", "message_count")
    for ours, theirs in zip(rows(arguments, kept), rows(arguments, masked), strict=True):
        assert [ours[name] for name in sizes] == [theirs[name] for name in sizes], (ours, theirs)
    for base, _, names in os.walk(masked):
        for name in names:
            with open(os.path.join(base, name), encoding="utf-8") as file:
                text = file.read()
            for secret in ("three words", "You are brief"):
                assert secret not in text, (name, secret)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", required=True, help="the program that records")
    parser.add_argument("--claude", required=True, help="Claude Code")
    parser.add_argument("--files-only", action="store_true", help="look at files, not at rows")
    arguments = parser.parse_args()
    arguments.traces, arguments.claude = map(os.path.abspath, (arguments.traces, arguments.claude))
    version = subprocess.run([arguments.claude, "--version"], check=True, capture_output=True, text=True).stdout.split()[0]
    with tempfile.TemporaryDirectory() as folder, Server(folder) as server:
        os.mkdir(os.path.join(folder, "home"))
        kept = record(arguments, folder, server.url, "kept")
        reported = [check_files(each, version) for each in kept]
        counts = tasks(server.log)
        print("server:", counts)
        flat = [count for each in reported for count in each]
        assert flat == counts, f"reported {flat}, the server has {counts}"
        assert any(cached > 0 for _, cached, _ in counts), "the server's cache was never used"
        if not arguments.files_only:
            for each, tokens in zip(kept, reported):
                check_rows(arguments, each, tokens)
        masked = record(arguments, folder, server.url, "masked", ["--no-bodies"])
        for each in masked:
            check_files(each, version)
        if not arguments.files_only:
            for ours, theirs in zip(kept, masked):
                check_sizes(arguments, ours, theirs)
        print(f"{len(flat)} requests: tokens and cached tokens are the server's")


if __name__ == "__main__":
    main()
