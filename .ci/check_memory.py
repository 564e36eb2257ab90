#!/usr/bin/env python3
"""Memory follows the number of requests: not their bytes, and not what is exported.

    check_memory.py --traces target/release/traces

Makes a llama-server's log and a recording, each twice: with the same requests, and many times the
bytes. Runs every verb that reads all of them, and every export, and compares the largest memory of
the processes. Exits with 1 where more bytes take more memory than the files that are open at once
have to, or where an export takes much more than `traces list`.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).resolve().parent.parent / "crates/anyclaude-traces/benches/corpus.py"
TASKS, REQUESTS = 5_000, 2_000
# How much larger the largest memory may be, of the same requests: threads meet other files at once.
MOST = 1.15
# What a thread may hold beside the requests: the file that it reads, and what was read ahead of a log.
BUFFERS = 4e6
# An export may need what `list` does not: findings, what a cache held, what tools cost.
MOST_OF_EXPORT = {"otlp": 1.1, "chrome": 1.3, "parquet": 1.3}


def peak(command):
    """The largest memory of a process, in bytes."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit {process.returncode}: {' '.join(map(str, command))}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def write_log(path, tokens_told):
    """A server's log of the same tasks, which tells of each of their tokens or of none."""
    rng = random.Random(5)
    clock = 0

    def line(level, function, text):
        seconds, us = divmod(clock, 1_000_000)
        head = f"{seconds // 60}.{seconds % 60:02d}.{us // 1000:03d}.{us % 1000:03d}"
        file.write(f"{head} {level} {function}: {text}\n")

    with open(path, "w", encoding="utf-8") as file:
        for task in range(TASKS):
            read, written = rng.randint(300, 4_000), rng.randint(40, 90)
            line("I", "slot get_availabl", "id  0 | task -1 | selected slot by LRU, t_last = 7")
            line("I", "slot launch_slot_", f"id  0 | task {task} | processing task, is_child = 0")
            for token in range(written if tokens_told else 0):
                line("D", "slot update_slots", f"id  0 | task {task} | slot decode token, n_ctx = 65536, n_tokens = {read}")
                line("D", "srv  update_slots", f"decoding batch, n_tokens = {token}")
                line("D", "srv    operator()", 'http: streamed chunk: data: {"type":"content_block_delta","delta":"word"}')
            clock += read * 800 + written * 20_000
            each = f"id  0 | task {task} | "
            line("I", "slot print_timing", f"{each}prompt eval time = {read * .8:10.2f} ms / {read:5} tokens (1 per second)")
            line("I", "slot print_timing", f"{each}       eval time = {written * 20:10.2f} ms / {written:5} tokens (1 per second)")
            line("I", "slot      release", f"{each}stop processing: n_tokens = {read + written - 1}, truncated = 0")
            clock += 400_000


def make_recordings(short, long):
    """A recording with its logs, and the same with 160 kB more in a message of each request."""
    subprocess.run([sys.executable, CORPUS, "logged", short, str(REQUESTS)], check=True)
    (long / "traces/lmstudio").mkdir(parents=True)
    (long / "logs").symlink_to(short / "logs")
    for path in (short / "traces/lmstudio").iterdir():
        trace = json.loads(path.read_text(encoding="utf-8"))
        first = trace["request"]["body"]["messages"][0]
        first["content"] += "as long as a file that was read, " * 5_000
        (long / "traces/lmstudio" / path.name).write_text(json.dumps(trace, indent=2), encoding="utf-8")


def bytes_of(place):
    return sum(path.stat().st_size for path in ([place] if place.is_file() else place.glob("traces/*/*")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", required=True, type=Path)
    traces = parser.parse_args().traces
    failed = False

    def compare(name, short, long, most):
        nonlocal failed
        is_too_much = long > most
        failed |= is_too_much
        print(f"{name:28}{short / 1e6:8.1f}{long / 1e6:8.1f} MB{'  more than ' + f'{most / 1e6:.1f}' if is_too_much else ''}")

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        logs = [folder / "short.log", folder / "long.log"]
        for log, tokens_told in zip(logs, (False, True)):
            write_log(log, tokens_told)
        roots = [folder / "short", folder / "long"]
        make_recordings(*roots)
        for title, (short, long), option, verbs in (
            (f"a log of {TASKS} tasks", logs, "--server-log", ["timing", "summary", "explain"]),
            (f"a recording of {REQUESTS}", roots, "--root", ["list", "summary", "timing", "prefix", "explain"]),
        ):
            sizes = [bytes_of(place) / 1e6 for place in (short, long)]
            print(f"{title}: {sizes[0]:.0f} MB, and {sizes[1]:.0f} MB")
            for verb in verbs:
                both = [peak([traces, verb, "--all", "--no-progress", option, place]) for place in (short, long)]
                compare(f"  {verb}", *both, both[0] * MOST + BUFFERS)
        listed = peak([traces, "list", "--all", "--no-progress", "--root", roots[0]])
        print("an export, beside `list`, and of more bytes")
        for format, most in MOST_OF_EXPORT.items():
            export = lambda place: peak([traces, "export", "--all", "--no-progress", "--format", format, "--root", place,
                                         "-o", folder / f"{format}-{place.name}"])
            both = [export(place) for place in roots]
            compare(f"  {format} and list", listed, both[0], listed * most + BUFFERS)
            compare(f"  {format}", *both, both[0] * MOST + BUFFERS)
    sys.exit(1 if failed else 0)


main()
