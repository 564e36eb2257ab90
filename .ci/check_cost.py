#!/usr/bin/env python3
"""Hold the cost model of `traces` against one written from its definition alone.

    check_cost.py [--bin PATH] [ROOT…]

For every root (default: those below testdata/where-time-goes): cached tokens, parts and speeds
are worked out here from the traces and the log lines, request by request, and compared with
`timing --format json`, to the token and the millisecond; the speeds of `summary`, `prefix` and
`report` with these. It shares no code with the program, and knows only what these recordings
hold: level 2, streamed answers, one backend. Exit 1 where anything differs.
"""

import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys

LINE = re.compile(r"\[(\d{4}-\d\d-\d\dT[\d:.]+Z)\] \[ANYCLAUDE DEBUG\] (.*)")
PARTS = "proxy_ms load_ms queue_ms read_ms write_ms stall_ms other_ms".split()
IDLE_MS = 300_000


def stamp(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


class Request:
    """What the log tells of one request; times in milliseconds."""

    def __init__(self, run, start, model):
        self.run, self.start, self.model = run, start, model
        self.ttft = self.total = self.prompt = self.output = self.reported = self.events = self.bytes = None
        self.chunks, self.given_up = [], None
        self.load = self.queue = self.stall = 0
        self.cached = self.source = None

    @property
    def first(self):
        return None if self.ttft is None else self.start + self.ttft

    @property
    def end(self):
        return self.start + (self.total if self.total is not None else self.given_up or 0)

    @property
    def done(self):
        return self.total is not None

    @property
    def read(self):
        return self.ttft - self.load - self.queue

    @property
    def write(self):
        return self.total - self.ttft - self.stall

    @property
    def read_tokens(self):
        return None if self.cached is None else self.prompt - self.cached


def log_requests(root):
    """The requests of all logs, by their starts. In these recordings a log's requests overlap
    only where the later one waits, so that a line belongs to the oldest one that can have it."""
    found = []
    for name in sorted(os.listdir(os.path.join(root, "logs"))):
        open_, closing = [], 0
        for line in open(os.path.join(root, "logs", name), encoding="utf-8"):
            match = LINE.match(line)
            if not match:
                continue
            at, text = stamp(match[1]), match[2]
            if match := re.match(r"\[Request Start\] \w+/(\S+) at (\S+)", text):
                open_.append(Request(name, stamp(match[2]), match[1]))
                found.append(open_[-1])
            elif match := re.match(r"\[Timing\] First token received at (\d+)ms", text):
                at_first = [r for r in open_ if r.ttft is None and abs(r.start + int(match[1]) - at) <= 2]
                at_first[0].ttft = int(match[1])
            elif re.match(r"\[NodeWritable\] Chunk #\d+", text):
                # The line of the first chunk stands before that of its time.
                streaming = [r for r in open_ if r.ttft is not None] or open_
                streaming[0].chunks.append(at)
            elif match := re.match(r"\[Request Complete\] \S+: (\d+)ms \((\d+) chunks, (\d+) bytes", text):
                done = next(r for r in open_ if abs(r.start + int(match[1]) - at) <= 2)
                done.total, done.events, done.bytes = int(match[1]), int(match[2]), int(match[3])
                last, closing = done, closing + 1
            elif text.startswith("[Cache Metrics] Recorded streaming response metrics"):
                usage = json.loads(text[text.index("{") :])
                last.prompt, last.output, last.reported = usage["inputTokens"], usage["outputTokens"], usage["cacheReadTokens"]
                open_.remove(last)
            elif text.startswith("[Client Disconnect]") and closing:
                closing -= 1  # as on every normal end
            elif text.startswith("[Client Disconnect]"):
                open_.pop(0).given_up = at - found[-1].start
    return sorted(found, key=lambda r: r.start)


def elements(body):
    """The prompt as the backend gets it: no thinking, no images of the user."""
    text = lambda value: json.dumps({k: v for k, v in value.items() if k != "cache_control"}, sort_keys=True, ensure_ascii=False)
    out = [("system", text(block)) for block in body["system"]] + [("tool", text(tool)) for tool in body["tools"]]
    for message in body["messages"]:
        for block in message["content"]:
            if block["type"] != "thinking" and not (block["type"] == "image" and message["role"] == "user"):
                out.append((message["role"], text(block)))
    return out


def size(elements_):
    return sum(len(text.encode("utf-8", "surrogatepass")) for _, text in elements_)


def cached_tokens(requests, bodies):
    """Counts of the backend; where it has none, what an earlier prompt and its answer give."""
    for run in {r.run for r in requests}:
        if any(r.reported for r in requests if r.run == run):
            for r in requests:
                if r.run == run and r.done:
                    r.cached, r.source = r.reported, "reported"
    left = [r for r in requests if r.done and r.cached is None]
    for r in left:
        r.elements = elements(bodies[r])
        best, r.simulated, r.share = 0, 0, 0.0
        for p in requests:
            if p is r or p.start >= r.start or not p.done or p not in left or p.model != r.model:
                continue
            if any(q.model != r.model and p.start < q.start < r.start for q in requests):
                continue  # the backend dropped this model for another one
            n = len(os.path.commonprefix([p.elements, r.elements]))
            if size(r.elements[:n]) <= best or size(r.elements[:n]) * 10 < size(r.elements):
                continue
            best = size(r.elements[:n])
            r.share = best / size(r.elements)
            if n == len(p.elements):
                behind = n
                while behind < len(r.elements) and r.elements[behind][0] == "assistant":
                    behind += 1
                after = max(1, round(r.prompt * size(r.elements[behind:]) / size(r.elements)))
                r.simulated = min(p.prompt + p.output - 1, r.prompt - after)
            else:
                r.simulated = round(r.prompt * r.share)
    for model in {r.model for r in left}:
        these = [r for r in left if r.model == model]
        cold = [r for r in these if r.share < 0.2]
        pace = sum(r.ttft for r in cold) / sum(r.prompt for r in cold) if cold else None
        warm = [r.ttft / (pace * r.prompt) for r in these if r.share >= 0.8] if pace else []
        reuses = any(share < 0.5 for share in warm)
        reads_all = not reuses and len(warm) >= 3 and all(share >= 0.8 for share in warm)
        for r in these:
            if reuses or r.simulated < 0.05 * r.prompt:
                r.cached, r.source = r.simulated, "simulated"
            elif reads_all:
                r.cached, r.source = 0, "none"


def stalls(requests):
    for r in requests:
        gaps = [b - a for a, b in zip(r.chunks, r.chunks[1:])]
        if r.done and gaps:
            middle = statistics.median(gaps)
            r.stall = round(sum(gap - middle for gap in gaps if gap > max(10_000, 20 * middle)))


def alone(requests, r, until):
    return not any(q is not r and q.start < until and r.start < q.end for q in requests)


def samples(requests, model):
    return [
        r
        for r in requests
        if r.model == model and r.done and alone(requests, r, r.first) and not r.load and r.cached is not None and r.read_tokens >= 200
    ]


def pace(these):
    return sum(r.read for r in these) / sum(r.read_tokens for r in these) if these else None


def waits(requests):
    """Queueing, then loads."""
    paces = {r.model: pace(samples(requests, r.model)) for r in requests}
    for r in requests:
        if not r.done:
            continue
        ends = [q.end for q in requests if q is not r and q.done and r.start < q.end <= r.first]
        if ends:
            before, s = max(ends) - r.start, paces[r.model]
            tokens = r.prompt if r.cached is None else r.read_tokens
            r.queue = before if s is None else round(max(0, min(before, r.ttft - tokens * s)))
    suspects, seen, last = set(), set(), None
    for r in requests:
        if r.run not in seen or last is None or last.model != r.model or r.start - last.end >= IDLE_MS:
            suspects.add(r)
        seen.add(r.run)
        last = r
    loads = []
    for r in suspects:
        others = [q for q in samples(requests, r.model) if q is not r]
        free = [q for q in samples(requests, r.model) if q not in suspects]
        others = free if len(free) >= 2 else others
        each = [q.read / q.read_tokens for q in others]
        if not r.done or len(each) < 2 or max(each) >= 1.5 * min(each):
            continue
        expected, waited = pace(others) * r.prompt, r.ttft - r.queue
        if waited >= expected + 1000 and waited >= 1.25 * expected:
            loads.append((r, round(waited - expected)))
    for r, load in loads:
        r.load = load


def speeds(requests, model):
    read = samples(requests, model)
    write = [
        r
        for r in requests
        if r.model == model and r.done and alone(requests, r, r.end) and not r.load and r.output >= 16 and r.write >= 500
    ]
    tokens_per_ms = 1 / pace(read) if read else None
    return {
        "read_tokens_per_second": 1000 * tokens_per_ms if read else None,
        "write_tokens_per_second": 1000 * sum(r.output - 1 for r in write) / sum(r.write for r in write) if write else None,
        "n_read": len(read),
        "n_write": len(write),
        "spread": statistics.median(abs(r.read_tokens / r.read / tokens_per_ms - 1) for r in read) if read else None,
    }


def same(a, b):
    if isinstance(a, float) and isinstance(b, (int, float)):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b))
    return a == b


class Check:
    def __init__(self, binary):
        self.binary, self.wrong, self.compared = binary, [], 0

    def call(self, *args):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TRACES_")}
        out = subprocess.run([self.binary, *args, "--format", "json"], capture_output=True, text=True, env=env)
        if not out.stdout:
            sys.exit(f"{' '.join(args)}: {out.stderr.strip()}")
        return json.loads(out.stdout)

    def expect(self, where, said, wanted):
        self.compared += 1
        if not same(wanted, said):
            self.wrong.append(f"{where}: {said}, not {wanted}")

    def root(self, root):
        name = os.path.basename(os.path.dirname(os.path.abspath(root)))
        requests = log_requests(root)
        args = ["--root", root, "--all", "--kind", "all"]
        said = self.call("timing", *args)["requests"]
        by_start = {stamp(q["timing"]["start"]): q for q in said if q["timing"]}
        self.expect(f"{name}: requests", len(by_start), len(requests))
        bodies = {r: json.load(open(by_start[r.start]["path"], encoding="utf-8"))["request"]["body"] for r in requests}
        cached_tokens(requests, bodies)
        stalls(requests)
        waits(requests)
        before = {}
        for r in requests:
            q = by_start[r.start]
            t, where = q["timing"], f"{name}: {os.path.basename(q['path'])}"
            total = r.total if r.done else r.given_up
            self.expect(f"{where} total_ms", t["total_ms"], total)
            self.expect(f"{where} parts", sum(t[p] or 0 for p in PARTS), total + (t["proxy_ms"] or 0))
            self.expect(f"{where} load_ms", t["load_ms"], r.load)
            self.expect(f"{where} queue_ms", t["queue_ms"], r.queue)
            self.expect(f"{where} read_ms", t["read_ms"], r.read if r.done else None)
            self.expect(f"{where} write_ms", t["write_ms"], r.write if r.done else None)
            self.expect(f"{where} stall_ms", t["stall_ms"], r.stall if r.done else None)
            self.expect(f"{where} other_ms", t["other_ms"], 0 if r.done else total)
            if not r.done:
                continue
            self.expect(f"{where} cached_tokens", t["cached_tokens"], r.cached)
            self.expect(f"{where} cached_source", t["cached_source"], r.source)
            self.expect(f"{where} read_tokens", t["read_tokens"], r.read_tokens)
            thread = (q["session"], q["thread"])
            needed = r.prompt if thread not in before else max(1, r.prompt - before[thread])
            before[thread] = r.prompt + r.output - 1
            self.expect(f"{where} needed_tokens", t["needed_tokens"], needed)
            if r.cached is not None:
                self.expect(f"{where} again_tokens", t["again_tokens"], r.read_tokens - needed)
        models = sorted({r.model for r in requests})
        answers = {
            "summary": {g["name"]: g["speeds"] for g in self.call("summary", *args)["groups"]},
            "prefix": {s["model"]: s for s in self.call("prefix", *args)["speeds"]},
            "report": {s["model"]: s for s in self.call("report", *args)["speeds"]},
        }
        for model in models:
            wanted = speeds(requests, model)
            for verb, answer in answers.items():
                for key, value in wanted.items():
                    self.expect(f"{name}: {verb} {model} {key}", answer[model][key], value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/debug/traces")
    parser.add_argument("roots", nargs="*", metavar="ROOT")
    args = parser.parse_args()
    below = "testdata/where-time-goes"
    check = Check(args.bin)
    for root in args.roots or [os.path.join(below, name, ".anyclaude") for name in sorted(os.listdir(below))]:
        check.root(root)
    for line in check.wrong:
        print(line)
    print(f"{check.compared} figures compared, {len(check.wrong)} differ")
    sys.exit(1 if check.wrong else 0)


if __name__ == "__main__":
    main()
