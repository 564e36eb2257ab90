#!/usr/bin/env python3
"""Makes traces to measure with, shaped like anyclaude's: text of our own.

    corpus.py big OUT [FILES]     sessions of long conversations, 1 to 3 MB a file
    corpus.py small OUT [FILES]   short requests, about 10 KB a file
    corpus.py logged OUT [FILES]  short requests with the logs of the processes that
                                  served them, 5000 requests a process

The same arguments make the same files. What counts for the time of reading is the
shape: indented JSON, a line about each 230 bytes, an escape about each 40.
"""
import json
import os
import random
import sys
from datetime import datetime, timedelta, timezone

WORDS = """when the list is longer than a page reads every line of its file and keeps
what changed since then; else it asks again after a pause because nobody answered so
far return value of this function none if there was no match at all in the table that
we built before first last index offset count width total error result state buffer""".split()
FOREIGN = ["Größe – naïve façade", "проверка строки", "日本語の文章", "✓ 12 passed, ✗ 1 failed", "🚀 done"]
START = datetime(2025, 11, 16, 2, 30, 45, 123000, tzinfo=timezone.utc)
MODEL = "lab/model-30b"


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def prose(rng, words):
    text = " ".join(rng.choices(WORDS, k=words))
    return text + "\n\n" + rng.choice(FOREIGN) if rng.random() < 0.2 else text


def code(rng, lines):
    made = []
    for number in range(lines):
        words = rng.choices(WORDS, k=rng.randint(3, 9))
        shape = rng.choice(['{i}{a} = {b}("{c}", {n})', "{i}if {a}.{b}({c}) != {n}:", "{i}\treturn {a}  # {b} {c}",
                            '{i}"{a}": ["{b}", {n}],', ""])
        made.append(shape.format(i="    " * rng.randint(0, 4), a="_".join(words), b=words[0], c=words[1], n=number))
    return "\n".join(made)


def tool(rng, number, words):
    properties = {name: {"type": "string", "description": prose(rng, words // 4)}
                  for name in rng.sample(["path", "pattern", "command", "limit", "offset", "query"], 3)}
    return {"name": f"Tool{number}", "description": prose(rng, words),
            "input_schema": {"type": "object", "properties": properties, "required": list(properties),
                             "additionalProperties": False}}


def turn(rng, lines):
    """An assistant's call of a tool and what the tool said."""
    name = f"toolu_{rng.getrandbits(80):020x}"
    use = {"type": "tool_use", "id": name, "name": "Tool1",
           "input": {"path": f"src/{rng.choice(WORDS)}.py", "old": code(rng, max(1, lines // 8)), "all": False}}
    numbered = "\n".join(f"{at:6}→{line}" for at, line in enumerate(code(rng, lines).split("\n"), 1))
    result = {"tool_use_id": name, "type": "tool_result", "content": numbered}
    return [{"role": "assistant", "content": [{"type": "text", "text": prose(rng, 40)}, use]},
            {"role": "user", "content": [result]}]


class Session:
    """One conversation: every request repeats the one before."""

    def __init__(self, seed, tools, words, lines):
        self.rng = random.Random(seed)
        rng = self.rng
        self.lines, self.messages = lines, [{"role": "user", "content": prose(rng, 60)}]
        self.id = f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
        self.tools = [tool(rng, number, words) for number in range(tools)]
        self.system = [{"type": "text", "text": prose(rng, words * 8), "cache_control": {"type": "ephemeral"}}]

    def grow(self):
        self.messages += turn(self.rng, self.lines)

    def trace(self, time):
        body = {"model": "claude-test", "messages": self.messages, "system": self.system, "tools": self.tools,
                "metadata": {"user_id": f"user_{0:064x}_account__session_{self.id}"},
                "max_tokens": 32000, "temperature": 1, "stream": True}
        headers = {"content-type": "application/json", "host": "localhost:1234", "user-agent": "test"}
        return {"timestamp": stamp(time), "mode": "lmstudio",
                "request": {"method": "POST", "url": "/v1/messages?beta=true", "headers": headers, "body": body}}


def tokens(body):
    """About as many as a backend counts: of a count that cannot be true, files are read once more."""
    return len(json.dumps(body, ensure_ascii=False)) // 4


def write(folder, trace):
    name = trace["timestamp"].replace(":", "-").replace(".", "-") + ".json"
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(trace, file, ensure_ascii=False, indent=2)


class Log:
    """What a process writes beside the traces."""

    def __init__(self, out, time):
        name = stamp(time)[:19].replace(":", "-")
        self.file = open(os.path.join(out, "logs", f"debug-session-{name}.log"), "w", encoding="utf-8")
        self.line(time, "Level 2")

    def line(self, time, text):
        self.file.write(f"[{stamp(time)}] [ANYCLAUDE DEBUG] {text}\n")

    def request(self, start, body):
        after = lambda ms: start + timedelta(milliseconds=ms)
        details = json.dumps({"system": "…", "toolCount": 12, "messageCount": len(body["messages"]),
                              "maxTokens": 32000})
        usage = json.dumps({"inputTokens": tokens(body), "outputTokens": 27, "cacheReadTokens": 0})
        self.line(start, f"[Request Start] lmstudio/{MODEL} at {stamp(start)}")
        self.line(start, f"[Request Details] lmstudio/{MODEL} {details}")
        self.line(after(900), "[Timing] First token received at 900ms")
        self.line(after(2000), "[Stream Conversion] Stream complete. Total chunks: 29")
        self.line(after(2001), f"[Request Complete] lmstudio/{MODEL}: 2001ms (28 chunks, 3475 bytes) | ⚡ 24.5 tok/s")
        self.line(after(2001), f"[Cache Metrics] Recorded streaming response metrics {usage}")


def main():
    kind, out = sys.argv[1:3]
    tools, words, lines, turns, files = {"big": (40, 120, 150, (120, 160), 600), "small": (4, 30, 8, (1, 4), 20_000),
                                         "logged": (12, 20, 8, (1, 4), 6_250)}[kind]
    files = int(sys.argv[3]) if len(sys.argv) > 3 else files
    traces = os.path.join(out, "traces", "lmstudio")
    for folder in [traces] + ([os.path.join(out, "logs")] if kind == "logged" else []):
        os.makedirs(folder, exist_ok=True)
    time, session, log = START, None, None
    for number in range(files):
        if number % 40 == 0:
            session = Session(number, tools, words, lines)
            for _ in range(turns[0]):
                session.grow()
        if kind == "logged" and number % 5000 == 0:
            log = Log(out, time)
        if number % 40 < turns[1] - turns[0] and number % 40:
            session.grow()
        time += timedelta(milliseconds=2500)
        trace = session.trace(time)
        if log:
            log.request(time - timedelta(milliseconds=12), trace["request"]["body"])
        write(traces, trace)


if __name__ == "__main__":
    main()
