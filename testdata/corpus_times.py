"""Recordings of which it is known where the time went: a home for each, below `where-time-goes/`.

A made-up machine reads one token in 1 ms and writes one in 40 ms, with 4 % of noise either
way, and reports what it took from its cache; what each recording adds to that is its name.
"""

import random

import corpus_logs as logs
import corpus_requests as make
import corpus_text as words

FAST = "qwen/qwen3-30b-a3b"
OTHER = "openai/gpt-oss-20b"
READ_MS, WRITE_MS, FIXED_MS, PROXY_MS = 1.0, 40, 60, 80
BYTES_PER_TOKEN = 3.8
NOISE = 0.04
LOAD_MS = 30_000


class Task:
    """One process that answers the turns of one task."""

    def __init__(self, model, started, session="fast", level=2, reports=True):
        self.run = logs.Run(model, level, make.moment(started))
        self.user = make.user_id("joined", session)
        self.random = random.Random(started)
        self.now = self.run.started + 900
        self.reports = reports
        self.known = 0  # tokens in the cache
        self.talk = words.conversation()

    def turn(self, messages, wait=1500, at=None, extra_ms=0, system=None, cold=False, **more):
        """Ask for the next answer; `extra_ms` is waited before reading begins."""
        body = make.turn(self.talk[:messages], self.user, tools=words.READ_ONLY_TOOLS, system=system)
        prompt = [body.get(name) for name in ("system", "tools", "messages")]
        tokens = round(len(make.compact(prompt)) / BYTES_PER_TOKEN)
        cached = 0 if cold else min(self.known, tokens - 1)
        noise = 1 + self.random.uniform(-NOISE, NOISE)
        pieces = [f"{word} " for word in words.GUIDE.split()[: 18 + self.random.randrange(8)]]
        call = logs.Call(
            body,
            self.now + wait if at is None else at,
            proxy=PROXY_MS + self.random.randrange(40),
            gap=self.random.choice((0, 1, 2, 8)),
            ttft=round((tokens - cached) * READ_MS * noise) + FIXED_MS + extra_ms,
            step=WRITE_MS,
            blocks=[("text", pieces)],
            prompt_tokens=tokens,
            cached=cached if self.reports else 0,
            **more,
        )
        self.run.add(call)
        self.known = tokens
        self.now = max(self.now, call.end)
        return call

    def files(self):
        yield f".anyclaude/logs/{self.run.log_name()}", self.run.debug_log()
        for call in self.run.calls:
            name, text = make.trace(call.traced, logs.PROVIDER, call.body, call.url)
            yield f".anyclaude/traces/{logs.PROVIDER}/{name}", text


TURNS = (1, 3, 5, 7, 9, 11)


def warm():
    """Each turn reads what is new in it."""
    task = Task(FAST, "2025-12-01T09:00:00.100Z")
    for count in TURNS:
        task.turn(count)
    return [task]


def warm_without_counts():
    """The same, but the backend does not say what it took from its cache."""
    task = Task(FAST, "2025-12-01T09:00:00.100Z", reports=False)
    for count in TURNS:
        task.turn(count)
    return [task]


def queued():
    """A subagent's cold request arrives while a turn is read, and is read after it."""
    task = Task(FAST, "2025-12-02T09:00:00.200Z")
    for count in TURNS[:3]:
        task.turn(count)
    first = task.turn(7, cold=True)
    at = first.at + 1000
    second = make.system_blocks("2025-12-02")
    task.turn(1, at=at, system=second, cold=True, extra_ms=first.end - at - PROXY_MS)
    task.turn(9)
    return [task]


def loading():
    """The model is loaded for the first turn, and again after eight idle minutes."""
    task = Task(FAST, "2025-12-03T09:00:00.300Z")
    task.turn(1, extra_ms=LOAD_MS)
    for count in TURNS[1:4]:
        task.turn(count, cold=True)
    task.turn(9, wait=8 * 60_000, cold=True, extra_ms=LOAD_MS)
    task.turn(11)
    return [task]


def swapped():
    """Two models in turn: each time the other one is loaded, and has forgotten everything."""
    tasks = [Task(FAST, "2025-12-04T09:00:00.400Z"), Task(OTHER, "2025-12-04T09:00:01.400Z", session="slow")]
    for task, count in ((tasks[0], 1), (tasks[1], 1), (tasks[0], 7), (tasks[1], 7)):
        now = max(one.now for one in tasks)
        task.turn(count, at=now + 1500, cold=True, extra_ms=12_000)
        task.turn(count + 4)
    return tasks


def truncated():
    """From the fourth turn on the proxy drops the oldest messages: the cache holds nothing of what follows."""
    task = Task(FAST, "2025-12-05T09:00:00.500Z")
    for count in TURNS:
        removed = max(0, count - 5)
        said = (
            f"Context limit exceeded: {20_000 + 500 * count} tokens > 20000 limit",
            f"Truncated {removed} messages (kept {count - removed})",
            f"Tokens after truncation: {19_000 + 10 * count} / 20000",
        )
        task.turn(count, cold=removed > 0, said_before=said if removed else ())
    return [task]


def stalled():
    """Two answers stand still: for 64 and for 25 seconds."""
    task = Task(FAST, "2025-12-06T09:00:00.600Z")
    for count, pauses in zip(TURNS, ({}, {12: 64_000}, {}, {}, {15: 25_000}, {})):
        task.turn(count, pauses=pauses)
    return [task]


def given_up():
    """The client hangs up after 95 seconds of waiting, and asks again."""
    task = Task(FAST, "2025-12-07T09:00:00.700Z")
    for count in TURNS[:3]:
        task.turn(count)
    task.turn(7, extra_ms=300_000, outcome="given_up", given_up_after=95_000)
    for count in TURNS[3:]:
        task.turn(count)
    return [task]


CASES = (warm, warm_without_counts, queued, loading, swapped, truncated, stalled, given_up)


def all_files():
    """(path below `where-time-goes`, text) of all recordings."""
    for case in CASES:
        tasks = case()
        home = case.__name__.replace("_", "-")
        for task in tasks:
            for name, text in task.files():
                yield f"{home}/{name}", text
        lines = sorted(line for task in tasks for line in task.run.request_log())
        day = make.iso(lines[0][0])[:10]
        yield f"{home}/.anyclaude/request-logs/{day}.jsonl", "".join(text for _, text in lines)
