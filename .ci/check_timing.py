#!/usr/bin/env python3
"""Read the times of every request from the logs, independently of `traces timing`.

    check_timing.py --traces target/release/traces ROOT…
    check_timing.py --traces target/release/traces --client client.jsonl ROOT

A ROOT holds `traces/`, `logs/` and `request-logs/`. The logs are read here again, with other
means: no line of them names its request, so each number is tied to a `[Request Start]` by
arithmetic on the stamps. Where the log itself leaves open which request a line belongs to,
the number is not compared, but counted as open. `--client` gives what the client of that one
ROOT measured itself, a line per request: `t_send`, `ms`, `bytes`, `stream`.
"""

import argparse
import collections
import datetime
import json
import os
import re
import statistics
import subprocess
import sys

LINE = re.compile(r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] \[ANYCLAUDE DEBUG\] (.*)")
BANNER = re.compile(r"ANYCLAUDE DEBUG SESSION - Level (\d+)")
STARTED = re.compile(r"Started: (\S+)")
START = re.compile(r"\[Request Start\] ([^/ ]+)/(.+) at (\S+)")
DETAILS = re.compile(r"\[Request Details\] ")
COUNTS = re.compile(r'"toolCount":(\d+),"messageCount":(\d+)')
STREAMING = re.compile(r"\[Streaming\] Starting stream conversion and pipe for ([^/ ]+)/(.+)")
COMPLETE = re.compile(
    r"\[Request Complete\] ([^/ ]+)/(.+): (\d+)ms"
    r"(?: \((\d+) chunks, (\d+) bytes\))?(?: \| ⚡ ([0-9.]+) tok/s)?"
)
RECORDED = re.compile(r"\[Cache Metrics\] Recorded streaming response metrics (\{.*)")
CAPTURED = re.compile(r"\[Cache Metrics\] Captured usage from message_delta: (\{.*)")
PART = re.compile(r"\[Stream Conversion\] Received chunk (\d+) of type: (\S+)")
PARTS = re.compile(r"\[Stream Conversion\] Stream complete\. Total chunks: (\d+)")
FIRST = re.compile(r"\[Timing\] First token received at (\d+)ms")
SENT = re.compile(r"\[Keepalive\] Sent keepalive #(\d+) ")
CLEARED = re.compile(r"\[Keepalive\] Cleared \(stream started after (\d+) keepalives\)")
TIMEOUT = re.compile(r"\[Timeout\] Request to ([^/ ]+)/(.+) exceeded (\d+)ms")
FAILED = re.compile(r"Error for ([^/ ]+)/(.+?): ")
DETECTED = re.compile(r"\[Backend Query\] Detected model: (.+)")
FINISHED = re.compile(r"\[streamText onFinish\] Called, stop reason: ")
STEP = re.compile(r'\[Stream Conversion\] Raw chunk \d+: \{"type":"finish-step"')
CONTENT = re.compile(r"(text|reasoning|tool-input)-(start|delta)")

PLACEHOLDER = "current-model"
NEAR_MS = 2  # a stamp less a duration is its start, so closely
EARLY_MS = 5  # a timer may fire this much before its time
KEEPALIVE_MS = 10_000
AT_ONCE_MS = 50  # the lines of one completion follow one another within this time
PROXY_MS = 30_000  # a request-log line is this much older than its start, at most
GAP_MS = 1_000  # far more than a trace was ever seen to be younger than its start
QUANTILES = (("min", 0), ("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99), ("max", 100))
MEASURES = {
    *("system_chars", "tool_count", "message_count", "body_bytes", "tools_bytes", "messages_bytes"),
    *("ttft_ms", "total_ms", "wall_ms", "answered_wall_ms", "reported_tokens_per_second", "output_tokens", "keepalives"),
}
ANSWERED = {"completed", "not_streamed", None}  # others failed, were given up, or have no end
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
OPEN = object()  # the log does not say


def milliseconds(text):
    """A stamp as whole milliseconds since 1970."""
    moment = datetime.datetime.fromisoformat(text)
    return round((moment - EPOCH) / datetime.timedelta(milliseconds=1))


def stamp(number):
    moment = datetime.datetime.fromtimestamp(number // 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{number % 1000:03d}Z"


def file_lines(path):
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        return [line.rstrip("\r\n") for line in file]


def nearest(candidates, wanted):
    """(the candidate that starts nearest to the wanted time, whether another one is as near)."""
    near = sorted((abs(each.start - wanted), at) for at, each in enumerate(candidates))
    if not near or near[0][0] > NEAR_MS:
        return None, False
    return candidates[near[0][1]], len(near) > 1 and near[0][0] == near[1][0]


# --- what the logs say ---


class Run:
    """One process: from its banner to the next one in the same file."""

    def __init__(self, log, level, started):
        self.log = log
        self.level = level
        self.id = re.sub("[:.]", "-", started)
        self.detected = None
        self.started = milliseconds(started)
        self.shares_with_level_1 = False


class Request:
    """One `[Request Start]` and all that the log says of it."""

    def __init__(self, run, provider, name, start):
        self.run = run
        self.name = (provider, name)
        self.start = start
        self.counts = None  # (tools, messages)
        self.pipe = None  # when its stream was started
        self.end = None
        self.outcome = None
        self.total = self.events = self.event_bytes = self.speed = self.parts = None
        self.first = None  # time to first token as logged
        self.waited_until = None  # when that was logged
        self.first_part = None  # the same from the stamps of the parts
        self.prompt_tokens = self.output_tokens = None
        self.sent = 0  # keepalives that its waiting explains
        self.cleared = None  # keepalives as its first token counted them
        self.cached = None  # prompt tokens from the backend's cache, as logged
        self.answered_by = None  # the model that the answer names

    @property
    def streamed(self):
        return self.pipe is not None or self.outcome == "completed"

    @property
    def model(self):
        name = self.name[1]
        if self.answered_by is not None:
            return self.answered_by
        return name if name != PLACEHOLDER else self.run.detected

    def waits(self, number, at):
        """Whether it can be this one that is sent keepalive #number then."""
        if self.pipe is None or self.sent != number - 1 or self.pipe + number * KEEPALIVE_MS > at + EARLY_MS:
            return False
        return at <= min(each for each in (self.waited_until, self.end, at) if each is not None)

    def place(self):
        return f"{self.run.log} {stamp(self.start)}"


class Log:
    """A debug log: its lines with stamps, its processes, its requests."""

    def __init__(self, path):
        self.name = os.path.basename(path)
        self.runs = []
        self.lines = []  # (stamp, text, run)
        self.requests = []
        self.complaints = []
        self.read(path)
        self.starts()
        self.completions()
        self.timeouts()
        self.streams()
        self.first_tokens()
        self.first_parts()
        self.errors()
        self.keepalives()
        self.last_chunks()
        self.outcomes()
        self.whole_replies()

    def complain(self, at, text):
        self.complaints.append(f"{self.name} {stamp(at)}\t{text}")

    def read(self, path):
        level, framed = None, False
        for text in file_lines(path):
            if self.runs and (found := LINE.fullmatch(text)):
                self.lines.append((milliseconds(found[1]), found[2], self.runs[-1]))
            elif framed and (found := BANNER.fullmatch(text)):
                level = int(found[1])
            elif level is not None and (found := STARTED.fullmatch(text)):
                self.runs.append(Run(self.name, level, found[1]))
                for one in self.runs[-2:]:
                    near = [run for run in self.runs[-2:] if abs(run.started - one.started) <= 2_000]
                    one.shares_with_level_1 = len(near) > 1 and min(run.level for run in near) < 2
                level = None
            framed = text.startswith("═")

    def starts(self):
        for at, text, run in self.lines:
            if found := START.fullmatch(text):
                self.requests.append(Request(run, found[1], found[2], milliseconds(found[3])))
            elif DETAILS.match(text) and self.requests and self.requests[-1].counts is None:
                if counts := COUNTS.search(text):
                    self.requests[-1].counts = (int(counts[1]), int(counts[2]))
            elif found := DETECTED.fullmatch(text):
                run.detected = found[1]

    def completions(self):
        """Each completion belongs to the start that its duration leads back to."""
        waiting = list(self.requests)
        for number, (at, text, _) in enumerate(self.lines):
            if not (found := COMPLETE.fullmatch(text)):
                continue
            named = [request for request in waiting if request.name == (found[1], found[2])]
            request, several = nearest(named, at - int(found[3]))
            if request is None:
                self.complain(at, "no [Request Start] for this [Request Complete]")
                continue
            if several:
                self.complain(at, "two [Request Start] for this [Request Complete]")
            waiting.remove(request)
            request.outcome = "completed"
            request.end = at
            request.total = int(found[3])
            request.events, request.event_bytes = (int(each) if each else None for each in found.group(4, 5))
            request.speed = float(found[6]) if found[6] else None
            self.usage(request, number)

    def usage(self, request, number):
        """What is recorded right after a completion; else the one usage between two completions."""
        for after in range(number + 1, len(self.lines)):
            at, text, _ = self.lines[after]
            if at > request.end + AT_ONCE_MS or COMPLETE.fullmatch(text):
                break
            if found := RECORDED.match(text):
                usage = json.loads(found[1])
                request.prompt_tokens, request.output_tokens = usage.get("inputTokens"), usage.get("outputTokens")
                request.cached = usage.get("cacheReadTokens")
                return
        captured = []
        for before in range(number - 1, -1, -1):
            text = self.lines[before][1]
            if COMPLETE.fullmatch(text):
                break
            if found := CAPTURED.match(text):
                captured.append(json.loads(found[1]))
        if len(captured) == 1:
            usage = captured[0]
            request.prompt_tokens, request.output_tokens = usage.get("input_tokens"), usage.get("output_tokens")
        elif captured:
            request.prompt_tokens = request.output_tokens = OPEN
        elif request.speed is not None:
            request.output_tokens = OPEN  # an estimate from the speed, not a number of the log

    def timeouts(self):
        for at, text, _ in self.lines:
            if found := TIMEOUT.fullmatch(text):
                over = [
                    request
                    for request in self.requests
                    if request.end is None
                    and request.name == (found[1], found[2])
                    and request.start + int(found[3]) <= at + EARLY_MS
                ]
                if over:
                    request = max(over, key=lambda each: each.start)
                    request.end, request.outcome = at, "timed_out"
                else:
                    self.complain(at, "no [Request Start] for this [Timeout]")

    def streams(self):
        """Who streams is said right after the start, in the order of the starts."""
        waiting, requests = [], iter(self.requests)
        for at, text, _ in self.lines:
            if START.fullmatch(text):
                waiting.append(next(requests))
            elif found := STREAMING.fullmatch(text):
                named = [request for request in waiting if request.name == (found[1], found[2])]
                ended = [request for request in named if request.end is not None]
                request = ended[0] if ended else named[-1] if named else None
                if request is None:
                    self.complain(at, "no [Request Start] for this [Streaming]")
                    continue
                waiting.remove(request)
                request.pipe = at

    def first_tokens(self):
        waiting = [request for request in self.requests if request.streamed]
        for number, (at, text, _) in enumerate(self.lines):
            if not (found := FIRST.fullmatch(text)):
                continue
            able = [request for request in waiting if request.end is None or at <= request.end]
            request, several = nearest(able, at - int(found[1]))
            if request is None:
                self.complain(at, "no [Request Start] for this [Timing]")
                continue
            waiting.remove(request)
            request.first = OPEN if several else int(found[1])
            request.waited_until = at
            after = self.lines[number + 1][1] if number + 1 < len(self.lines) else ""
            if cleared := CLEARED.fullmatch(after):
                request.cleared = OPEN if several else int(cleared[1])

    def first_parts(self):
        """Follow the streams by the numbers of their parts.

        A stream is a number (that of its last part) and the stamps that its first content may
        have. Part N may belong to any stream that stands at N - 1, and a total of N to any that
        stands at N: each of them may then have any of their stamps.
        """
        streams, ended, taken = [], [], 0
        completed = {(request.end, request.total): request for request in self.requests if request.total is not None}
        for at, text, _ in self.lines:
            if found := PART.fullmatch(text):
                number, content = int(found[1]), CONTENT.fullmatch(found[2])
                if number == 1:
                    streams.append([1, {None}])
                    continue
                if stream := self.any_of(streams, number - 1):
                    stream[0] = number
                    if content and None in stream[1]:
                        stream[1] = (stream[1] - {None}) | {at}
            elif found := PARTS.fullmatch(text):
                if stream := self.any_of(streams, int(found[1])):
                    streams.remove(stream)
                    ended = [(when, other) for when, other in ended if at - when <= AT_ONCE_MS] + [(at, stream)]
            elif found := COMPLETE.fullmatch(text):
                request = completed.get((at, int(found[3])))
                if request and ended:
                    maybe = set().union(*(stream[1] for _, stream in ended))
                    maybe = {each for each in maybe if each is None or request.start <= each <= at}
                    first = maybe.pop() if len(maybe) == 1 else OPEN if maybe else None
                    request.first_part = first - request.start if isinstance(first, int) else first
                    request.parts = ended[0][1][0] if len(ended) == 1 else OPEN
                    taken += 1
                    if taken == len(ended):
                        ended, taken = [], 0

    @staticmethod
    def any_of(streams, number):
        """One of the streams that stand at a part, after making them alike; None without any."""
        able = [stream for stream in streams if stream[0] == number]
        maybe = set().union(*(stream[1] for stream in able))
        for stream in able:
            stream[1] = set(maybe)
        return able[0] if able else None

    def errors(self):
        """A provider's error ends the one stream that is still open."""
        for at, text, _ in self.lines:
            if found := FAILED.match(text):
                able = [
                    request
                    for request in self.requests
                    if request.streamed and request.end is None and request.start <= at
                    and request.name == (found[1], found[2])
                ]
                if len(able) == 1:
                    able[0].end, able[0].outcome = at, "failed"
                elif able:
                    for request in able:
                        request.outcome = OPEN
                else:
                    self.complain(at, "no open stream for this error")

    def keepalives(self):
        """Give every `Sent keepalive #K` to a stream that waits K times ten seconds by then.

        The first token says how many its stream was sent, so those are served first; what is
        left goes to the youngest stream that can take it. Timers may be late, never early.
        """
        numbers = collections.defaultdict(list)
        for at, text, _ in self.lines:
            if found := SENT.match(text):
                numbers[int(found[1])].append(at)
        for number, stamps in sorted(numbers.items()):
            given = {}  # line: request
            for request in self.requests:
                if isinstance(request.cleared, int) and request.cleared >= number:
                    self.give(request, number, stamps, given, set())
            for line, at in enumerate(stamps):
                able = [
                    request
                    for request in self.requests
                    if request.cleared is None and request.waits(number, at) and request not in given.values()
                ]
                if line not in given and able:
                    given[line] = max(able, key=lambda each: each.pipe)
                if line not in given:
                    self.complain(at, f"no stream waits for keepalive #{number}")
            for request in given.values():
                request.sent = number
        for request in self.requests:
            if isinstance(request.cleared, int) and request.cleared != request.sent:
                counted = f"{request.cleared} counted at the first token"
                self.complain(request.start, f"{request.sent} keepalives sent, {counted}")

    def give(self, request, number, stamps, given, tried):
        """Find a line for a request; one that has it already may have to take another."""
        for line, at in enumerate(stamps):
            if line not in tried and request.waits(number, at):
                tried.add(line)
                if line not in given or self.give(given[line], number, stamps, given, tried):
                    given[line] = request
                    return True
        return False

    def last_chunks(self):
        """The last chunk of an answer names the model and has the usage of its request.

        It is held against the completions that follow at once. What a process never counts above
        0 it does not count.
        """
        for number, (at, text, _) in enumerate(self.lines):
            if not STEP.match(text):
                continue
            tokens = [re.search(rf'"{name}":(\d+)', text) for name in ("inputTokens", "outputTokens")]
            model = re.search(r'"modelId":"([^"]+)"', text)
            if not all(tokens) or not model:
                continue
            usage = tuple(int(each[1]) for each in tokens)
            able = [
                request
                for request in self.requests
                if request.outcome == "completed"
                and 0 <= request.end - at <= KEEPALIVE_MS
                and (request.prompt_tokens, request.output_tokens) == usage
            ]
            if len(able) == 1:
                able[0].answered_by = model[1]
            else:
                for request in able:
                    request.answered_by = OPEN
        for run in self.runs:
            own = [request for request in self.requests if request.run is run]
            if not any(request.cached for request in own):
                for request in own:
                    request.cached = None

    def whole_replies(self):
        """An answer that no stream's finish follows is that of the one reply in one piece that is due.

        Streams tell their last chunk right after it. Wherever anything else is open the total is not
        compared.
        """
        due = [request for request in self.requests if request.outcome == "not_streamed"]
        for number, (at, text, _) in enumerate(self.lines):
            if not FINISHED.match(text):
                continue
            near = self.lines[number + 1 : number + 6]
            if any((part := PART.fullmatch(line)) and part[2] == "finish-step" for _, line, _ in near):
                continue
            able = [request for request in due if request.start <= at and request.total is None]
            streams = [
                request
                for request in self.requests
                if request.streamed and request.start <= at and (request.end is None or request.end >= at)
            ]
            if len(able) == 1 and not streams:
                able[0].total = at - able[0].start
                due.remove(able[0])
            else:
                for request in able:
                    request.total = OPEN

    def outcomes(self):
        for request in self.requests:
            if request.outcome is None:
                request.outcome = "unfinished" if request.streamed else "not_streamed"


def expected(request):
    """The numbers of one request, under the names of the contract. OPEN is not compared."""
    detailed = request.run.level >= 2
    first, source = (request.first, "timing") if detailed else (request.first_part, "first_part")
    if not detailed and request.streamed and request.outcome != "completed":
        first = OPEN  # only an end says which parts were its own
    keepalives = request.sent if detailed and request.streamed and request.end is not None else None
    if keepalives == 0 and request.run.shares_with_level_1:
        keepalives = None  # it may be the other process's, which logs none

    def source_of(number, name):
        return number if number is OPEN or number is None else name

    return {
        "start": stamp(request.start),
        "ttft_ms": first,
        "ttft_source": source_of(first, source),
        "total_ms": request.total,
        "keepalives": OPEN if request.outcome is OPEN else keepalives,
        "events": request.events,
        "event_bytes": request.event_bytes,
        "parts": request.parts,
        "prompt_tokens": request.prompt_tokens,
        "prompt_tokens_source": source_of(request.prompt_tokens, "usage"),
        "output_tokens": request.output_tokens,
        "output_tokens_source": source_of(request.output_tokens, "usage"),
        "reported_tokens_per_second": request.speed,
        "outcome": request.outcome,
        **({} if request.cached is None else {"cached_tokens": request.cached, "cached_source": "reported"}),
    }


def derive(request, proxy):
    """What follows from other numbers: null without one of them."""
    first, tokens = expected(request)["ttft_ms"], request.prompt_tokens

    def of(formula, *numbers):
        return OPEN if OPEN in numbers else None if None in numbers else formula(*numbers)

    return {
        "generation_ms": of(lambda total, first: total - first, request.total, first),
        "wall_ms": of(lambda proxy, total: proxy + total, proxy, request.total),
        "prefill_tokens_per_second": of(lambda n, first: n * 1000 / first if first else None, tokens, first),
    }


def read_logs(root):
    folder = os.path.join(root, "logs")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [Log(os.path.join(folder, name)) for name in names if name.endswith(".log")]


def read_request_logs(root):
    """All lines as {(tools, messages, streaming, provider, model): [stamp, …]}."""
    lines = collections.defaultdict(list)
    folder = os.path.join(root, "request-logs")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        for text in file_lines(os.path.join(folder, name)):
            try:
                line = json.loads(text)
            except ValueError:
                continue
            key = tuple(line.get(name) for name in ("toolCount", "messageCount", "streaming", "provider", "model"))
            lines[key].append(milliseconds(line["timestamp"]))
    return lines


# --- comparing ---


class Comparison:
    """Counts what was compared and prints each difference."""

    def __init__(self):
        self.requests = 0
        self.numbers = 0
        self.left_open = 0
        self.differences = 0

    def differ(self, place, text):
        self.differences += 1
        print(f"{place}\t{text}")

    def number(self, place, name, ours, theirs):
        if ours is OPEN:
            self.left_open += 1
            return
        self.numbers += 1
        same = ours == theirs and (ours is None) == (theirs is None)
        if isinstance(ours, float) and isinstance(theirs, float):
            same = abs(ours - theirs) <= 1e-9 * abs(ours)
        if not same:
            self.differ(place, f"{name}: should be {json.dumps(ours)}, the program says {json.dumps(theirs)}")

    def holds(self, place, condition, text):
        self.numbers += 1
        if not condition:
            self.differ(place, text)


class Root:
    """One folder: what its logs say, and what the program says of it."""

    def __init__(self, path, binary, result):
        self.path = path
        self.result = result
        self.logs = read_logs(path)
        self.lines = read_request_logs(path)
        self.output = run_traces(binary, path)
        self.pairs = []  # (what the log says, what the program says)

    def check(self):
        for log in self.logs:
            for complaint in log.complaints:
                self.result.differ(*complaint.split("\t"))
        self.pair()
        for request, found in self.pairs:
            self.request(request, found)
        self.proxy()
        self.claude()
        self.runs()
        self.groups()

    # --- requests ---

    def pair(self):
        """Every start of a log is one request of the output, and the other way round."""
        by_start = collections.defaultdict(list)
        for found in self.output["requests"] + self.output["unmatched_log_requests"]:
            if (start := timing(found).get("start")) is not None:
                by_start[start].append(found)
        for request in (request for log in self.logs for request in log.requests):
            self.result.requests += 1
            able = by_start[stamp(request.start)]
            fits = [found for found in able if (found["tool_count"], found["message_count"]) == request.counts]
            if not able:
                self.result.differ(request.place(), "no request of the output has this start")
                continue
            found = (fits or able)[0]
            able.remove(found)
            self.pairs.append((request, found))
        for start, left in by_start.items():
            for found in left:
                text = f"no [Request Start] of the logs is at {start}, or it is used already"
                self.result.differ(found.get("path") or start, text)

    def request(self, request, found):
        result, place, times = self.result, request.place(), timing(found)
        derived = derive(request, times.get("proxy_ms"))
        for name, value in {**expected(request), **derived}.items():
            result.number(place, name, value, times.get(name))
        result.number(place, "model", request.model, found.get("model"))
        if "run" in found:
            result.number(place, "run", request.run.id, found["run"])
        if found.get("join"):
            self.trace(request, found)

    def trace(self, request, found):
        """The trace that was joined: read the file again, and hold it against the start."""
        result, place = self.result, f"{request.place()} {os.path.basename(found['path'])}"
        trace = read_trace(found["path"])
        body = trace["request"]["body"]
        gap = milliseconds(trace["timestamp"]) - request.start
        result.number(place, "join.gap_ms", gap, found["join"]["gap_ms"])
        result.number(place, "join.log", request.run.log, found["join"]["log"])
        result.holds(place, 0 <= gap <= GAP_MS, f"join.gap_ms: the trace is {gap} ms after the start")
        counts = tuple(len(body.get(name) or []) for name in ("tools", "messages"))
        result.number(place, "tools and messages of the trace", request.counts, counts)
        result.number(place, "stream of the trace", request.streamed, body.get("stream") is True)

    def proxy(self):
        """Every time of the proxy's own leads to a line of the request log, each to another."""
        left = {key: collections.Counter(stamps) for key, stamps in self.lines.items()}
        without = []
        for request, found in self.pairs:
            key = (*(request.counts or (None, None)), request.streamed, *request.name)
            proxy = timing(found).get("proxy_ms")
            if proxy is None:
                without.append((request, key))
                continue
            at = request.start - proxy
            stamps = left.get(key, collections.Counter())
            self.result.holds(
                request.place(),
                stamps[at] > 0 and 0 <= proxy <= PROXY_MS,
                f"proxy_ms: {proxy} leads to {stamp(at)}, where no line of the request log fits, or it is used already",
            )
            stamps[at] -= 1
        for request, key in without:
            able = [at for at, n in left.get(key, {}).items() if n > 0 and 0 <= request.start - at <= PROXY_MS]
            text = f"proxy_ms: null, but the request log fits at {', '.join(map(stamp, able))}"
            self.result.holds(request.place(), not able, text)

    def claude(self):
        """In claude mode the two files of a request hold its total, and nothing else is known."""
        for found in self.output["requests"]:
            if found["mode"] == "claude":
                self.result.requests += 1
                times = sorted(milliseconds(read_trace(path)["timestamp"]) for path in found["paths"])
                total = times[1] - times[0] if len(times) == 2 else None
                known = {"total_ms": total, "other_ms": total, "outcome": "completed" if len(times) == 2 else None}
                for name in sorted(timing(found).keys() | known.keys()):
                    self.result.number(found["path"], name, known.get(name), timing(found).get(name))

    # --- sums ---

    def runs(self):
        theirs = {run["id"]: run for run in self.output["runs"]}
        for log in self.logs:
            for run in log.runs:
                place, found = f"{log.name} {run.id}", theirs.get(run.id, {})
                self.result.number(place, "runs.level", run.level, found.get("level"))
                self.result.number(place, "runs.log", log.name, found.get("log"))
                count = sum(request.run is run for request in log.requests)
                self.result.number(place, "runs.requests", count, found.get("requests"))

    def groups(self):
        """Every figure of a group is the nearest rank of its requests' numbers."""
        members = collections.defaultdict(list)
        for found in self.output["requests"]:
            name = found["model"]
            if name is None and found["run"] is not None:
                name = f"unnamed, run {found['run']}"
            members[name].append(found)
        groups = {group["name"]: group for group in self.output["groups"]}
        self.result.number(self.path, "groups", sorted(map(str, members)), sorted(map(str, groups)))
        for name in sorted(members.keys() & groups.keys(), key=str):
            group, place = groups[name], f"group {name}"
            self.result.number(place, "requests", len(members[name]), group["requests"])
            for measure in sorted(group.keys() - {"name", "requests", "time", "speeds"} | MEASURES):
                numbers = [figure(found, measure) for found in members[name]]
                ranks = nearest_ranks([number for number in numbers if number is not None])
                for rank in ranks:
                    theirs = (group.get(measure) or {"n": 0}).get(rank)
                    self.result.number(place, f"{measure}.{rank}", ranks[rank], theirs)


def figure(found, measure):
    """What a request adds to the figures of its group; null where it adds nothing."""
    times = timing(found)
    if measure == "answered_wall_ms":
        return times.get("wall_ms") if times.get("outcome") in ANSWERED else None
    return {**found, **times}.get(measure)


def nearest_ranks(numbers):
    """`n`, and the ⌈p·n⌉-th of the sorted numbers for each p; null where there are none."""
    numbers = sorted(numbers)
    ranks = {"n": len(numbers)}
    for name, percent in QUANTILES:
        ranks[name] = numbers[max(-(-percent * len(numbers) // 100), 1) - 1] if numbers else None
    return ranks


def timing(found):
    """The times of a request; one without a trace holds them itself."""
    return (found["timing"] or {}) if "timing" in found else found


def read_trace(path):
    with open(path, encoding="utf-8-sig") as file:
        return json.load(file)


def run_traces(binary, root):
    command = [binary, "timing", "--root", root, "--all", "--kind", "all", "--format", "json"]
    done = subprocess.run([*command, "--no-progress", "--quiet"], stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"{binary} ended with exit code {done.returncode} for {root}")
    return json.loads(done.stdout)


# --- the client's own clock ---


class Client:
    """What the client measured: each request lies within what its sender saw of it."""

    BEFORE_MS, AFTER_MS = 5, 50

    def __init__(self, path, result):
        self.result = result
        self.lines = [json.loads(text) for text in file_lines(path) if text]
        for line in self.lines:
            line["from"] = milliseconds(line["t_send"])
            line["to"] = line["from"] + line["ms"]

    def check(self, pairs):
        """Equal sizes are frequent: the requests of one size take the lines of that size in order."""
        groups = collections.defaultdict(lambda: ([], []))
        for request, found in pairs:
            if "path" in found:
                asked = read_trace(found["path"])["request"]
                size = int(asked["headers"]["content-length"])
                groups[size, asked["body"].get("stream") is True][0].append((request, found))
        for line in self.lines:
            groups[line["bytes"], line["stream"]][1].append(line)
        overhead = []
        for (size, _), (requests, lines) in groups.items():
            requests.sort(key=lambda pair: pair[0].start)
            lines.sort(key=lambda line: line["from"])
            if len(requests) != len(lines):
                text = f"{len(requests)} requests of this size, {len(lines)} lines of the client"
                self.result.differ(f"{size} bytes", text)
                continue
            for (request, found), line in zip(requests, lines):
                overhead += self.within(request, timing(found), line)
        if overhead:
            low, middle, high = min(overhead), statistics.median(overhead), max(overhead)
            print(f"the client's ms less total_ms: min {low}, median {middle:g}, max {high} (n = {len(overhead)})")

    def within(self, request, times, line):
        """Hold one request against its line; the list of its overhead, where it has a total."""
        place, total = request.place(), times.get("total_ms")
        start = milliseconds(times["start"])
        begun = start - (times.get("proxy_ms") or 0)
        earliest = line["from"] - self.BEFORE_MS
        seen = f"the client sent it at {line['t_send']} and waited {line['ms']} ms"
        self.result.holds(place, earliest <= begun, f"proxy_ms: begun at {stamp(begun)}, but {seen}")
        last = start + (total or 0)
        inside = earliest <= start and last <= line["to"] + self.AFTER_MS
        self.result.holds(place, inside, f"total_ms: {stamp(start)} to {stamp(last)}, but {seen}")
        if total is None:
            return []
        self.result.holds(place, line["ms"] >= total, f"total_ms: {total}, but {seen}")
        return [line["ms"] - total]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", metavar="BINARY", required=True, help="the program to check")
    parser.add_argument("--client", metavar="FILE", help="what the client of the one ROOT measured")
    parser.add_argument("roots", metavar="ROOT", nargs="+")
    options = parser.parse_args()
    if options.client and len(options.roots) > 1:
        parser.error("--client goes with one ROOT")
    result = Comparison()
    for path in options.roots:
        root = Root(path, options.traces, result)
        if not any(log.requests for log in root.logs):
            sys.exit(f"{path} has no debug log with a request: nothing to compare")
        root.check()
        if options.client:
            Client(options.client, result).check(root.pairs)
    if result.left_open:
        print(f"{result.left_open} numbers not compared: the log leaves open which request they belong to")
    print(
        f"check_timing: {len(options.roots)} roots, {result.requests} requests, "
        f"{result.numbers} numbers compared, {result.differences} differences"
    )
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
