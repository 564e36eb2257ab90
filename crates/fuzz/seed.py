#!/usr/bin/env python3
"""Writes the seeds of every fuzz target, made of the files in testdata/: seed.py FOLDER.

Each target finds its seeds in FOLDER/TARGET. What was there is removed.
"""

import gzip
import json
import re
import shutil
import sys
from pathlib import Path

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
ANYCLAUDE = TESTDATA / "home" / ".anyclaude"
# A mutation in a small input says more, and is tried sooner.
MOST_BYTES = 8192
PIECE = bytes([7])
# Lines of a debug log that say when a request began, waited, answered or ended.
TELLING = [
    b"[Request Start]", b"[Request Complete]", b"[Keepalive] Sent", b"[Timing]", b"[Timeout]", b"Error for ",
    b"[Stream] Forcing", b"[Client Disconnect]", b"Stream complete", b"Recorded streaming", b"[TRACE]",
    b"type: message_stop", b"ANYCLAUDE DEBUG SESSION", b"Started: ",
]

OPENAI = """data: {"choices":[{"delta":{"role":"assistant","content":null}}]}

data: {"choices":[{"delta":{"reasoning_content":"Hm."}}]}

data: {"choices":[{"delta":{"content":"Two \\ud83d\\udc26."}}]}

data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"count","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":70,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":60}}}

data: [DONE]

"""
ANSWERS = [
    OPENAI,
    OPENAI.replace("[DONE]", '{"timings":{"prompt_ms":3.5,"predicted_ms":7.0,"predicted_per_second":9.0}}'),
    'data: {"choices":[],"stats":{"time_to_first_token":0.111,"generation_time":2.5,"tokens_per_second":51.4}}\n\n',
    'data: {"eval_duration":2000000000,"eval_count":10,"prompt_eval_duration":5,"prompt_eval_count":7,"load_duration":5}\n\n',
    'event: error\ndata: {"type":"error","error":{"type":"overloaded","message":"too much"}}\n\n',
    '\ufeff{"content":[],"stop_reason":"end_turn","usage":{"input_tokens":7,"cache_creation_input_tokens":3,"cache_read_input_tokens":20,"output_tokens":6}}',
    '{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":6}}',
    '{"error":{"message":"no model “x”"}}',
    'data: {"error":{"message":"no model “x”"}}\n\n',
    'data: {"type":"content_block_delta","message":{"usage":{"input_tokens":7}},"type":"message_start"}\n\n',
    ": comment\r\nevent: a\r\ndata: 1\rdata:2\nid: 7\nretry: 9\r\n\r\ndata\n\n",
]
ARGUMENTS = """2025-11-16
2025-11-16T02:30:45.123Z
2025-11-16T03:30:00+01:00
9999-12-31
0000-01-01
90m
1.5d
2h
3w
30s
45min
body_bytes=200kB
body_bytes=1.5MiB
file_bytes=2GB
tools_bytes=3KB
tool_count=40
ttft_ms=1.5s
total_ms=2min
system_chars=12k
prompt_tokens=32k
reported_tokens_per_second=9.6
gpt-oss-20b=session:1f0c
qwen=latest~2
latest
latest~3
session:1f0c
run:2025
model:qwen
testdata/home"""


def read_json(path):
    """What a file says; nothing where it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return {}


def traces():
    return [path for path in sorted(TESTDATA.rglob("*.json")) if path.stat().st_size <= MOST_BYTES]


def streams():
    """The replies in mode `claude` that were streamed."""
    for path in sorted(ANYCLAUDE.rglob("*.json")):
        response = read_json(path).get("response") or {}
        if isinstance(response.get("body"), str):
            yield response["body"].encode("utf-8", "replace")


def debug_logs():
    """The logs and captures of standard error: as they are, the telling lines alone, in
    which requests have their ends, and these without stamps, as in October 2025."""
    for path in [*sorted(ANYCLAUDE.glob("logs/*.log")), *sorted(TESTDATA.glob("home/stderr/*.txt"))]:
        lines = path.read_bytes().splitlines(keepends=True)
        telling = lines[:8] + [line for line in lines[8:] if any(mark in line for mark in TELLING)]
        yield from parts(lines)
        yield from parts(telling)
        yield from parts([re.sub(rb"^\[[-0-9T:.]+Z\] ", b"", line) for line in telling])


def parts(lines):
    """A log in parts that begin with its banner."""
    banner = b"".join(lines[:8])
    part = b""
    for line in lines[8:]:
        if len(banner) + len(part) + len(line) > MOST_BYTES:
            yield banner + part
            part = b""
        part += line
    yield banner + part


def recordings(*names):
    """What other recorders wrote: whole files, and each of their lines that is small."""
    files = [path.read_bytes() for name in names for path in sorted((TESTDATA / "recorders").glob(name))]
    return files + [line for data in files for line in data.splitlines() if len(line) <= MOST_BYTES and b"{" in line]


def request_logs():
    logs = [path.read_bytes() for path in sorted(ANYCLAUDE.glob("request-logs/*.jsonl"))]
    yield from logs
    starts = [b"".join(line for line in log.splitlines(keepends=True) if b"[Request " in line) for log in debug_logs()]
    yield from (logs[-1] + b"\0" + part[:MOST_BYTES] for part in starts if part)


def claude_code():
    """Recordings of Claude Code with few events, and bodies without text: files behind each
    other, in the order of the target's names."""
    body = b'{"model":"m","messages":[{"role":"user","content":"Hm?"}],"betas":["b"],"stream":true}'
    answer = b'{"id":"msg","type":"message","role":"assistant","content":[],"usage":{"input_tokens":7,"output_tokens":3}}'
    for recording in sorted((TESTDATA / "claude-code").iterdir()):
        logs, spans = [(recording / f"{kind}.jsonl").read_text().splitlines() for kind in ("logs", "traces")]
        index = recording / "bodies" / "index.jsonl"
        entries = index.read_text().splitlines() if index.exists() else []
        for line in range(len(logs)):
            texts = "\0".join(["\n".join(entries[:1]), "\n".join(logs[line : line + 1]), "\n".join(spans[:1])])
            bodies = dict.fromkeys(re.findall(r"([0-9a-f-]{36})\.request", texts))
            for name, known in zip("ab", bodies):
                texts = texts.replace(known, name)
            texts = re.sub(r"[0-9a-f-]{36}\.response", "a.response", texts)
            yield b"\0".join([body, answer, body, texts.encode()])


def backend_logs():
    """A task with all of its lines in one log, as each line of the dictionary tells it."""
    words = (Path(__file__).parent / "dictionaries" / "backend_log.dict").read_bytes().splitlines()
    words = [word[1:-1].decode("unicode_escape").encode("latin-1") for word in words if word.startswith(b'"')]
    heads, lines = words[:3], words[4:]
    first = next(at for at, line in enumerate(lines) if line.startswith(b"[2026-"))
    for head in [b"", *heads]:
        yield b"".join(head + line + b"\n" for line in lines[:first])
    head, window, *lines = lines[first:]
    for head in (head, window):
        yield b"".join(head + line + b"\n" for line in lines)


def posts():
    """What exporters send: whole, in chunks, compressed; and bodies as they are recorded."""
    head = b"POST /v1/%s HTTP/1.1\r\nHost: 127.0.0.1:4318\r\nContent-Type: application/json\r\n"
    logs = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"claude_code.api_request"}}]}]}]}'
    spans = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"claude_code.interaction"}]}]}]}'
    for signal, body in ((b"logs", logs), (b"traces", spans)):
        start, zipped = head % signal, gzip.compress(body, mtime=0)
        plain = start + b"Content-Length: %d\r\n\r\n" % len(body) + body
        chunked = start + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        yield from (plain, chunked, plain + chunked)
        yield start + b"Expect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(zipped) + zipped
    for path in sorted(ANYCLAUDE.glob("traces/*/*.json")):
        body = json.loads(path.read_bytes())["request"]["body"]
        yield json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")[:MOST_BYTES]


def seeds():
    """The inputs of each target."""
    answers = [*streams(), *(answer.encode("utf-8") for answer in ANSWERS)]
    names = "\nqwen3-coder-30b\nqwen3-4b\ngpt-oss-20b"
    return {
        "trace": [path.read_bytes() for path in traces()],
        "response": answers,
        "debug_log": [PIECE + log for log in debug_logs()],
        "backend_log": [PIECE + log for log in backend_logs()],
        "claude_code": [seed for seed in claude_code() if len(seed) <= MOST_BYTES],
        "request_log": [PIECE + log for log in request_logs()],
        "har": recordings("*.har"),
        "claude_tap": recordings("claude-*", "codex*"),
        "claude_code_router": recordings("*.log", "litellm*"),
        "sse": [PIECE + answer for answer in answers],
        "answer": [PIECE + answer for answer in answers],
        "receiver": [PIECE + post for post in posts()],
        "arguments": [(argument + names).encode() for argument in ARGUMENTS.splitlines()],
    }


def main():
    for target, inputs in seeds().items():
        folder = Path(sys.argv[1]) / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for index, data in enumerate(inputs):
            (folder / f"seed-{index:03}").write_bytes(data)


if __name__ == "__main__":
    main()
