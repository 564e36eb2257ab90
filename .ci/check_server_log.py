#!/usr/bin/env python3
"""Read the figures of servers' logs with a few regular expressions, independently of `traces timing --server-log`.

    check_server_log.py --traces target/release/traces LOG…

Of each log (llama-server, Ollama, LM Studio as file, window's copy or stream) it takes what its
lines say as they stand, and holds what the program says against that: the tokens of each prompt,
those from the cache, those of the answer, both times; of LM Studio's the number of requests and
the size of each body that is whole; of Ollama's the prompts that were cut. Lines are not tied to
requests here, but for an engine's, which name their task: the figures of a log are compared as a
whole. Exits with 1 on a difference, or where the program refuses a log.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

TASK_LINE = re.compile(r"id\s+(\d+) \| task (\d+) \| (.*)")
READ = re.compile(r"\s*prompt eval time =\s*([\d.]+) ms /\s*(\d+)")
WRITTEN = re.compile(r"\s*eval time =\s*([\d.]+) ms /\s*(\d+)")
RELEASED = re.compile(r"stop processing: n_(?:tokens|past) = (\d+), truncated = 0")
POST = re.compile(r"Received (?:request: POST|POST request) to \S*(?:completions|messages|responses|api/v1/chat)\b")
RUNNING = re.compile(r"Running chat completion on conversation with \d+")
USAGE = re.compile(r'"(?:prompt_tokens|input_tokens|promptTokensCount)":\s*(\d+)')
OUTPUT = re.compile(r'"(?:completion_tokens|total_output_tokens|predictedTokensCount)":\s*(\d+)')
DONE = re.compile(r"Done · input ([\d,]+) · cached ([\d,]+) · output ([\d,]+)")
BODY = re.compile(r"(?:with body:?)\s+(\{)")
CUT_PROMPT = re.compile(r'truncating input prompt" limit=(\d+) prompt=(\d+)')
RUNNER_CACHE = re.compile(r'cache (?:miss|hit)" total=(\d+) matched=\d+ cached=(\d+)')
CUT_TEXT = "... <Truncated in logs> ..."


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if not text.startswith("{"):
        return text
    events = [json.loads(line) for line in text.splitlines() if line.strip()]
    if "msg" in events[0]:
        return "\n".join(event["msg"] for event in events)
    # The figures of an event are members of it.
    return "\n".join(event["data"].get("content") or json.dumps(event["data"]) for event in events)


def half_up(text):
    return int(float(text) + 0.5)


def of_engine(text):
    """Of each task that llama.cpp's lines tell all of: prompt, cached, output, and both times."""
    open_tasks, found = {}, []
    for line in text.splitlines():
        match = TASK_LINE.search(line)
        if not match:
            continue
        key, said = match.group(1, 2), match[3]
        if "processing task" in said:
            open_tasks[key] = {}
        task = open_tasks.setdefault(key, {})
        if match := READ.match(said):
            task["read_ms"], task["read"] = match[1], int(match[2])
        elif match := WRITTEN.match(said):
            task["write_ms"], task["output"] = match[1], int(match[2])
        elif match := RELEASED.match(said):
            task = open_tasks.pop(key)
            if "read" in task and "output" in task:
                prompt = int(match[1]) - task["output"] + 1
                times = half_up(task["read_ms"]), half_up(task["write_ms"])
                found.append((prompt, prompt - task["read"], task["output"], *times))
    return sorted(found)


def of_bodies(text):
    """The bytes of each body that is whole, as compact JSON."""
    sizes = []
    for match in BODY.finditer(text):
        begin = match.start(1)
        try:
            body, length = json.JSONDecoder().raw_decode(text[begin:])
        except ValueError:
            continue
        if CUT_TEXT not in text[begin : begin + length]:
            sizes.append(len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()))
    return sorted(sizes)


def expected(log_format, text):
    engine = of_engine(text)
    if log_format == "lm_studio":
        done = [[int(figure.replace(",", "")) for figure in match] for match in DONE.findall(text)]
        usage, output = (sorted(map(int, pattern.findall(text))) for pattern in (USAGE, OUTPUT))
        started = [int(tokens) for tokens in re.findall(r"task\.n_tokens = (\d+)", text)]
        return {
            "requests": max(len(POST.findall(text)), len(RUNNING.findall(text))) or len(usage) or len(started),
            "prompts": sorted((usage or started) + [figures[0] for figures in done]),
            "outputs": sorted(output + [figures[2] for figures in done]),
            "bodies": of_bodies(text),
            "engine": engine,
        }
    if log_format == "ollama":
        cut = [tuple(map(int, match)) for match in CUT_PROMPT.findall(text)]
        runner = [tuple(map(int, match)) for match in RUNNER_CACHE.findall(text)]
        return {"cut": cut, "runner": sorted(runner), "engine": engine}
    return {"engine": engine}


def told(log_format, wanted, output):
    """The same of what the program says."""
    requests = [{**request["timing"], "body_bytes": request["body_bytes"]} for request in output["requests"]]
    rows = requests + output["unmatched_log_requests"]
    figures = lambda names, rows: sorted(tuple(row[name] for name in names) for row in rows)
    measured = [row for row in rows if row["output_tokens"] and row["read_ms"] is not None and row["write_ms"] is not None]
    names = ("prompt_tokens", "cached_tokens", "output_tokens", "read_ms", "write_ms")
    engine = figures(names, [row for row in measured if row["read_tokens"] is not None])
    found = {"engine": engine}
    if log_format == "lm_studio":
        known = lambda name: sorted(row[name] for row in rows if row.get(name) is not None)
        # What an engine tells is held against its own lines; the rest against usage.
        told_by_engine = collections.Counter(task[0] for task in wanted["engine"])
        outputs_of_engine = collections.Counter(task[2] for task in wanted["engine"])
        without = lambda figures, others: sorted((collections.Counter(figures) - others).elements())
        wanted["prompts"] = without(wanted["prompts"], told_by_engine)
        wanted["outputs"] = without(wanted["outputs"], outputs_of_engine)
        found |= {
            "requests": len(rows),
            "prompts": without(known("prompt_tokens"), told_by_engine),
            "outputs": without(known("output_tokens"), outputs_of_engine),
            "bodies": known("body_bytes"),
            "engine": [task for task in engine if task in wanted["engine"]],
        }
    elif log_format == "ollama":
        log = output["server_logs"][0]
        found["cut"] = [(cut["limit"], cut["prompt_tokens"]) for cut in log["truncations"]]
        runner = [row for row in rows if row["prompt_tokens"] is not None and row["read_ms"] is None]
        found["runner"] = figures(("prompt_tokens", "cached_tokens"), runner)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", metavar="BINARY", required=True, help="the program to check")
    parser.add_argument("logs", metavar="LOG", nargs="+")
    options = parser.parse_args()
    differences = compared = 0
    with tempfile.TemporaryDirectory() as home:
        for path in options.logs:
            command = [options.traces, "timing", "--server-log", path, "--tz", "UTC", "--format", "json"]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "HOME": home}
            )
            if done.returncode not in (0, 3) or not done.stdout:
                print(f"{path}\trefused: {done.stderr.strip()}")
                differences += 1
                continue
            output = json.loads(done.stdout)
            log_format = output["server_logs"][0]["format"]
            wanted = expected(log_format, text_of(path))
            found = told(log_format, wanted, output)
            for name, figures in wanted.items():
                compared += len(figures) if isinstance(figures, list) else 1
                if found[name] != figures:
                    differences += 1
                    print(f"{path}\t{name}: should be {figures}, the program says {found[name]}")
    print(f"check_server_log: {len(options.logs)} logs, {compared} figures compared, {differences} differences")
    return 1 if differences or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
