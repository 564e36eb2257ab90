#!/usr/bin/env python3
"""Measures `traces` against other ways to the same figures, whole processes at a time.

    cargo build --release -p traces-cli && cargo build --release -p anyclaude-traces --example read_only
    crates/anyclaude-traces/benches/compare.py [--rounds N] [--corpus FOLDER] [--check]

Makes four corpora (3.2 GB; kept and used again), then runs everything in turns: A B
C, A B C, … so that whatever else the computer does meets all alike. A ratio is of two
runs of one turn. Programs that are not there (jq, jaq, cc) are left out. `--check`
fails where a limit is exceeded that is not of speed: memory, and growth.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parents[2] / "target")
TRACES = TARGET / "release" / "traces"
READ_ONLY = TARGET / "release" / "examples" / "read_only"
FEW, MANY = 6_250, 100_000

# The figures of `traces list`, each computed once; jq and jaq run the same text.
FILTER = """
def bytes: if . == null then 0 else tojson | utf8bytelength end;
.request.body as $b
| [.timestamp, .mode, .request.url, $b.model, $b.max_tokens, $b.stream, $b.metadata,
   ($b.system | if type == "array" then map(.text | length) | add else length end),
   ($b.system | bytes), ($b.tools | length), ($b.tools | bytes),
   ($b.messages | length), ($b.messages | bytes), ($b | del(.system, .tools, .messages) | bytes)]
"""


class Run:
    """A run of a program and its children."""

    def __init__(self, command):
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - began
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if process.returncode != 0:
            sys.exit(f"exit {process.returncode}: {' '.join(map(str, command))[:200]}")


def corpus(folder, kind, files):
    out = folder / f"{kind}-{files}"
    if not out.exists():
        print(f"making {out} …", file=sys.stderr)
        unfinished = out.with_name(out.name + ".new")
        subprocess.run([sys.executable, HERE / "corpus.py", kind, unfinished, str(files)], check=True)
        unfinished.rename(out)
    return out


def over_files(out, command):
    """The command over all files of a corpus."""
    listed = out.with_suffix(".files")
    listed.write_text("".join(f"{path}\n" for path in sorted(out.glob("traces/**/*.json"))))
    return ["xargs", "-a", listed, *command]


def listing(out, verb="list", *options):
    return [TRACES, verb, "--all", "--no-progress", "--root", out, *options]


def turns(title, commands, rounds, seldom=()):
    """Runs the commands in turns and prints how each compares with the first."""
    for command in commands.values():
        Run(command)  # warms the page cache
    runs = {name: [] for name in commands}
    for turn in range(rounds):
        for name, command in commands.items():
            if name not in seldom or turn < 3:
                runs[name].append(Run(command))
    print(f"\n{title}\n{'':26}{'time, s':>9}{'CPU, s':>9}{'ratio: min':>12}{'median':>8}{'max':>8}{'peak, MB':>10}")
    first = runs[next(iter(runs))]
    for name, these in runs.items():
        ratios = [this.seconds / that.seconds for this, that in zip(these, first)]
        seconds, cpu = (statistics.median(getattr(run, what) for run in these) for what in ("seconds", "cpu"))
        peak = max(run.peak for run in these) / 1e6
        print(f"{name:26}{seconds:9.3f}{cpu:9.3f}{min(ratios):12.2f}{statistics.median(ratios):8.2f}"
              f"{max(ratios):8.2f}{peak:10.1f}")
    return runs


def hello(folder):
    """A C program that does next to nothing, where there is a compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return {}
    source = Path(folder) / "hello.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
    subprocess.run([compiler, "-O2", "-o", source.with_suffix(""), source], check=True)
    return {"C, hello world": [source.with_suffix("")]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--corpus", type=Path, default=TARGET / "bench-corpus")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for program in (TRACES, READ_ONLY):
        if not program.exists():
            sys.exit(f"{program} is not there; the beginning of this script says how to build it")
    options.corpus.mkdir(parents=True, exist_ok=True)

    big = corpus(options.corpus, "big", 600)
    others = {name: over_files(big, [shutil.which(name), "-c", FILTER]) for name in ("jaq", "jq") if shutil.which(name)}
    commands = {"cat > /dev/null": over_files(big, ["cat"]), "traces list": listing(big, "list", "--format", "ndjson")}
    runs = turns("Long conversations: 600 files", commands | others, options.rounds, seldom=others)
    for name in others:
        ratios = [slow.seconds / fast.seconds for slow, fast in zip(runs[name], runs["traces list"])]
        print(f"{name} takes {min(ratios):.0f} to {max(ratios):.0f} times as long as traces list")

    small = corpus(options.corpus, "small", 20_000)
    turns("Short requests: 20,000 files",
          {"open and read": [READ_ONLY, small], "traces list": listing(small, "list", "--format", "ndjson")},
          options.rounds)

    few, many = (corpus(options.corpus, "logged", files) for files in (FEW, MANY))
    failed = []
    for verb in ("list", "summary"):
        name = f"traces {verb}"
        runs = turns(f"Growth of {name}: {FEW} and {MANY} requests with logs",
                     {f"{FEW} requests": listing(few, verb), f"{MANY} requests": listing(many, verb)},
                     max(3, options.rounds // 3))
        peak = max(run.peak for run in runs[f"{MANY} requests"])
        growth = min(run.cpu for run in runs[f"{MANY} requests"]) / min(run.cpu for run in runs[f"{FEW} requests"])
        allowed = 32e6 + 1024 * MANY
        print(f"{peak / 1e6:.0f} MB, of {allowed / 1e6:.0f} that 32 MB and 1 KB a request make; "
              f"{MANY // FEW} times the requests take {growth:.1f} times the processor time")
        failed += [name] if peak > allowed or growth > 17 else []

    with tempfile.TemporaryDirectory() as folder:
        turns("Start-up", hello(folder) | {"traces --version": [TRACES, "--version"]}, 20 * options.rounds)
    if options.check and failed:
        sys.exit(f"over the limit: {', '.join(failed)}")


main()
