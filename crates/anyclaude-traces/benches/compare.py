#!/usr/bin/env python3
"""Measures `traces` against other ways to the same figures, whole processes at a time.

    cargo build --release -p traces-cli && cargo build --release -p anyclaude-traces --example read_only
    crates/anyclaude-traces/benches/compare.py [--rounds N] [--corpus FOLDER] [--megabytes N] [--check]
        [PART …]

Makes its corpora (3.2 GB, and `--megabytes` of each source and log; kept and used
again), then runs everything in turns: A B C, A B C, … so that whatever else the computer
does meets all alike. A ratio is of two runs of one turn; those of processor time hold on
a computer that is not quiet. Programs that are not there (jq, jaq, duckdb, rg, cc) are
left out. `--check` fails where a limit is exceeded that is not of speed: memory, and
growth. Parts are named as the functions below: long, short, sources, logs, growth, start.
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


def corpus(folder, kind, size, script="corpus.py"):
    out = folder / f"{kind}-{size}"
    if not out.exists():
        print(f"making {out} …", file=sys.stderr)
        unfinished = out.with_name(out.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([sys.executable, HERE / script, kind, unfinished, str(size)], check=True)
        unfinished.rename(out)
    return out


def over_files(out, command):
    """The command over all files of a corpus."""
    listed = out.with_suffix(".files")
    listed.write_text("".join(f"{path}\n" for path in sorted(out.glob("traces/**/*.json"))))
    return ["xargs", "-a", listed, *command]


def listing(out, verb="list", *options):
    return [TRACES, verb, "--all", "--no-progress", "--root", out, *options]


def verbs(out):
    """Every verb that reads all of a corpus."""
    named = {f"traces {verb}": listing(out, verb) for verb in ("list", "summary", "timing", "prefix", "explain")}
    return named | {"traces report": listing(out, "report", "--format", "json"),
                    "traces show": [TRACES, "show", "--no-progress", "--root", out]}


def others(program, *options):
    """The command of another program, where it is there."""
    path = shutil.which(program)
    return {program: [path, *options]} if path else {}


def turns(title, commands, rounds, seldom=()):
    """Runs the commands in turns and prints how each compares with the first."""
    for command in commands.values():
        Run(command)  # warms the page cache
    runs = {name: [] for name in commands}
    for turn in range(rounds):
        for name, command in commands.items():
            if name not in seldom or turn < 3:
                runs[name].append(Run(command))
    print(f"\n{title}\n{'':26}{'time, s':>9}{'CPU, s':>9}{'ratio: min':>12}{'median':>8}{'max':>8}"
          f"{'of CPU':>8}{'peak, MB':>10}")
    first = runs[next(iter(runs))]
    for name, these in runs.items():
        ratios = [this.seconds / that.seconds for this, that in zip(these, first)]
        seconds, cpu = (statistics.median(getattr(run, what) for run in these) for what in ("seconds", "cpu"))
        of_cpu = statistics.median(this.cpu / max(that.cpu, 1e-3) for this, that in zip(these, first))
        peak = max(run.peak for run in these) / 1e6
        print(f"{name:26}{seconds:9.3f}{cpu:9.3f}{min(ratios):12.2f}{statistics.median(ratios):8.2f}"
              f"{max(ratios):8.2f}{of_cpu:8.2f}{peak:10.1f}", flush=True)
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


def long(options):
    big = corpus(options.corpus, "big", 600)
    slow = {name: over_files(big, [*command, "-c", FILTER])
            for name, command in (others("jaq") | others("jq")).items()}
    slow |= others("duckdb", "-c", f"select count(*) from read_json('{big}/traces/lmstudio/*.json', "
                                   "columns = {timestamp: 'VARCHAR', mode: 'VARCHAR', request: 'JSON'}, "
                                   "maximum_object_size = 100000000)")
    commands = {"cat > /dev/null": over_files(big, ["cat"]), "traces list": listing(big, "list", "--format", "ndjson")}
    runs = turns("Long conversations: 600 files", commands | slow, options.rounds, seldom=slow)
    for name in slow:
        ratios = [slow.seconds / fast.seconds for slow, fast in zip(runs[name], runs["traces list"])]
        print(f"{name} takes {min(ratios):.0f} to {max(ratios):.0f} times as long as traces list")
    turns("Every verb over these", verbs(big), options.rounds)


def short(options):
    small = corpus(options.corpus, "small", 20_000)
    turns("Short requests: 20,000 files",
          {"open and read": [READ_ONLY, small], "traces list": listing(small, "list", "--format", "ndjson")},
          options.rounds)
    turns("Every verb over these", verbs(small), options.rounds)
    logged = corpus(options.corpus, "logged", FEW)
    turns(f"Every verb over {FEW} requests with logs", verbs(logged), options.rounds)


def sources(options):
    """As many bytes of each recorder's files as of anyclaude's, with their logs; of what is
    compressed, as many as it stands for."""
    kinds = ["anyclaude", "claude-code", "har", "claude-tap", "claude-tap-responses", "claude-tap-bundle",
             "claude-tap-gz", "claude-trace", "claude-code-router", "litellm",
             "bare-anthropic", "bare-chat", "bare-responses"]
    kinds += ["claude-tap-zst"] if shutil.which("zstd") else []
    made = {kind: corpus(options.corpus, kind, options.megabytes, "sources.py") for kind in kinds}
    lists = {kind: listing(out, "list", "--format", "ndjson") if kind == "anyclaude" else
             [TRACES, "list", "--all", "--no-progress", "--format", "ndjson", out] for kind, out in made.items()}
    shell = lambda command: ["sh", "-c", command]
    tap = f"{made['claude-tap']}/*.jsonl"
    lists["claude-tap, by stdin"] = shell(f"cat {tap} | {TRACES} list --all --no-progress --format ndjson -")
    beside = {"cat claude-tap": shell(f"cat {tap}")}
    beside |= {"jq claude-tap": shell(f"jq -c '[.timestamp, .turn, .request.body.model]' {tap}") for _ in others("jq")}
    beside |= others("duckdb", "-c", f"select timestamp, turn from read_json('{tap}', "
                                     "columns = {timestamp: 'VARCHAR', turn: 'INT', request: 'JSON'}, "
                                     "maximum_object_size = 100000000)")
    turns(f"traces list over {options.megabytes} MB of each source", lists | beside, options.rounds, seldom=beside)


def logs(options):
    """Servers' logs, against what a person would type who looks for something in one."""
    if not shutil.which("rg"):
        return
    words = {"llama-server": "print_timing", "llama-server-tasks": "print_timing", "lm-studio": "Received request"}
    reading = lambda verb, log: [TRACES, verb, "--no-progress", "--server-log", log]
    for kind, word in words.items():
        log, part = (corpus(options.corpus, kind, megabytes, "sources.py") / f"{kind}.log"
                     for megabytes in (options.megabytes, options.megabytes // 5))
        verbs = {f"traces {verb}": reading(verb, log) for verb in ("timing", "summary", "explain")}
        turns(f"{options.megabytes} MB of {kind}'s log",
              {"rg -c": [shutil.which("rg"), "-c", word, log], "cat": ["cat", log]} | verbs, options.rounds)
        peak, of_part = (Run(reading("timing", of)).peak / 1e6 for of in (log, part))
        print(f"{peak:.0f} MB in memory, and {of_part:.0f} MB for a fifth of the log")


def growth(options):
    few, many = (corpus(options.corpus, "logged", files) for files in (FEW, MANY))
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
        if peak > allowed or growth > 17:
            options.failed.append(name)


def start(options):
    with tempfile.TemporaryDirectory() as folder:
        turns("Start-up", hello(folder) | {"traces --version": [TRACES, "--version"]}, 20 * options.rounds)


def main():
    parts = {part.__name__: part for part in (long, short, sources, logs, growth, start)}
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *parts], metavar="PART")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--corpus", type=Path, default=TARGET / "bench-corpus")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    options.failed = []
    for program in (TRACES, READ_ONLY):
        if not program.exists():
            sys.exit(f"{program} is not there; the beginning of this script says how to build it")
    options.corpus.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        if not options.parts or name in options.parts:
            part(options)
    if options.check and options.failed:
        sys.exit(f"over the limit: {', '.join(options.failed)}")


main()
