#!/usr/bin/env python3
"""Makes what other recorders and servers would have written of the same conversations.

    sources.py KIND OUT MEGABYTES     KIND is one of those below

Bodies are those of corpus.py, of about 150 kB; a file holds one session of 30 requests.
The same arguments make the same files.
"""
import json
import os
import sys
from datetime import timedelta

import corpus

REQUESTS = 30
REPLY = {"id": "msg_1", "type": "message", "role": "assistant", "model": corpus.MODEL, "stop_reason": "end_turn",
         "content": [{"type": "text", "text": "Done."}], "usage": {"input_tokens": 1234, "output_tokens": 11}}
EVENTS = [("message_start", {"message": {**REPLY, "content": []}}),
          ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 11}}),
          ("message_stop", {})]
STREAM = "".join(f"event: {name}\ndata: {json.dumps({'type': name, **event})}\n\n" for name, event in EVENTS)
URL = "http://127.0.0.1:1234/v1/messages"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def session(seed):
    """The requests of a session: when each was sent, and the body."""
    made = corpus.Session(seed, 40, 120, 20)
    for _ in range(20):
        made.grow()
    start = corpus.START + timedelta(hours=seed)
    for number in range(REQUESTS):
        time = start + timedelta(seconds=20 * number)
        yield time, made.trace(time)["request"]["body"]
        made.grow()


def chat(body):
    """The body in the shape of Chat Completions."""
    messages = [{"role": "system", "content": body["system"][0]["text"]}]
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            messages.append({"role": "user", "content": content})
            continue
        for block in content:
            if block["type"] == "text":
                messages.append({"role": "assistant", "content": block["text"]})
            elif block["type"] == "tool_use":
                call = {"name": block["name"], "arguments": compact(block["input"])}
                messages.append({"role": "assistant", "content": None,
                                 "tool_calls": [{"id": block["id"], "type": "function", "function": call}]})
            else:
                messages.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]})
    return {"model": corpus.MODEL, "messages": messages, "stream": True, "max_tokens": 32000, "tools": [
        {"type": "function", "function": {"name": tool["name"], "parameters": tool["input_schema"]}}
        for tool in body["tools"]]}


def har(seed):
    def entry(time, body):
        return {"startedDateTime": corpus.stamp(time), "time": 5000,
                "request": {"method": "POST", "url": URL, "headers": [], "postData": {"text": compact(body)}},
                "response": {"status": 200, "content": {"mimeType": "text/event-stream", "text": STREAM}}}
    entries = [entry(time, body) for time, body in session(seed)]
    return json.dumps({"log": {"version": "1.2", "entries": entries}}, ensure_ascii=False, indent=4)


def claude_tap(seed):
    def line(number, time, body):
        request = {"method": "POST", "path": "/v1/messages", "headers": {}, "body": body}
        return compact({"timestamp": corpus.stamp(time), "request_id": f"r{number}", "turn": number + 1,
                        "duration_ms": 5000, "request": request, "response": {"status": 200, "body": REPLY}})
    return lines(line(number, time, body) for number, (time, body) in enumerate(session(seed)))


def claude_trace(seed):
    def line(time, body):
        seconds = time.timestamp()
        request = {"timestamp": seconds, "method": "POST", "url": URL, "headers": {}, "body": body}
        response = {"timestamp": seconds + 3, "status_code": 200, "headers": {}, "body_raw": STREAM}
        return compact({"request": request, "response": response, "logged_at": corpus.stamp(time)})
    return lines(line(time, body) for time, body in session(seed))


def claude_code_router(seed):
    def of_request(number, time, body):
        ms, common = int(time.timestamp() * 1000), {"pid": 1, "hostname": "h", "reqId": f"req-{number}"}
        delta = {"object": "chat.completion.chunk", "model": corpus.MODEL, "choices": [{"index": 0, "delta": {}}]}
        for level, after, told in [
            (30, 0, {"req": {"method": "POST", "url": "/v1/messages"}, "msg": "incoming request"}),
            (30, 1, {"data": body, "type": "request body"}),
            (20, 5, {"request": {"method": "POST", "body": compact(chat(body))}, "msg": "final request",
                     "requestUrl": "http://127.0.0.1:1234/v1/chat/completions"}),
            (20, 900, {"type": "recieved data", "data": compact(delta)}),
            (30, 1000, {"res": {"statusCode": 200}, "responseTime": 999.9, "msg": "request completed"}),
        ]:
            yield compact({"level": level, "time": ms + after, **common, **told})
    return lines(line for number, (time, body) in enumerate(session(seed)) for line in of_request(number, time, body))


def litellm(seed):
    def line(number, time, body):
        start = time.timestamp()
        return compact({"id": f"m{number}", "litellm_call_id": f"{seed}-{number}", "call_type": "acompletion",
                        "stream": True, "status": "success", "startTime": start, "completionStartTime": start + 1,
                        "endTime": start + 3, "model": corpus.MODEL, "prompt_tokens": 1234, "completion_tokens": 11,
                        "messages": chat(body)["messages"], "model_parameters": {"tools": chat(body)["tools"]}})
    return lines(line(number, time, body) for number, (time, body) in enumerate(session(seed)))


def llama_server(seed):
    """At the verbosity that tells of each token."""
    def of_task(number):
        task, at = 300 * number, 30_000_000 * number
        stamp = lambda us: f"{us // 60_000_000}.{us // 1_000_000 % 60:02}.{us // 1_000 % 1_000:03}.{us % 1_000:03}"
        slot = f"id  0 | task {task} |"
        yield f"{stamp(at)} I slot launch_slot_: {slot} processing task, is_child = 0"
        yield f"{stamp(at)} I slot update_slots: {slot} new prompt, n_ctx_slot = 65536, n_keep = 0, task.n_tokens = 3414"
        for token in range(25):
            head = f"{stamp(at + 1_000_000 + 20_000 * token)} D "
            yield head + f"que          post: new task, id = {task + token}, front = 0"
            yield head + "que    start_loop: update slots"
            yield head + f"slot update_slots: {slot} slot decode token, n_ctx = 65536, n_tokens = {3414 + token}"
            yield head + "srv  update_slots: decoding batch, n_tokens = 1"
            yield head + f"slot process_toke: {slot} n_decoded = {token}, n_remaining = -1, next token: 123 ' word'"
            yield head + "srv  update_slots: run slots completed"
            yield head + "srv    operator(): http: streamed chunk: data: " + compact(REPLY)
        end = stamp(at + 2_000_000)
        yield f"{end} I slot print_timing: {slot} prompt eval time =    1000.00 ms /  3414 tokens (x)"
        yield f"{end} I slot print_timing: {slot}        eval time =     871.49 ms /    25 tokens (x)"
        yield f"{end} I slot      release: {slot} stop processing: n_tokens = 3438, truncated = 0"
        yield f"{end} I srv  update_slots: all slots are idle"
    return lines(line for number in range(200 * seed, 200 * (seed + 1)) for line in of_task(number))


def lm_studio(seed):
    def of_request(time, body):
        head = f"[{time:%Y-%m-%d %H:%M:%S}]"
        yield f"{head}[DEBUG] Received request: POST to /v1/messages with body {json.dumps(body, indent=2)}"
        yield f"{head}[INFO][{corpus.MODEL}] Running chat completion on conversation with 2 messages."
        yield from (f"{head}[INFO][{corpus.MODEL}] Prompt processing progress: {done}.0%" for done in (0, 50, 100))
        chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]}
        for _ in range(30):
            yield f"{head}[INFO][{corpus.MODEL}] Generated packet: {json.dumps(chunk, indent=2)}"
        yield f"{head}[INFO][{corpus.MODEL}] Finished streaming response"
    return lines(line for time, body in session(seed) for line in of_request(time, body))


def lines(of):
    return "".join(line + "\n" for line in of)


def anyclaude(seed, out):
    """Traces with the log of the process that served them: what the others are measured against."""
    for folder in ("traces/lmstudio", "logs"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    log, size = corpus.Log(out, corpus.START + timedelta(hours=seed, seconds=-1)), 0
    for time, body in session(seed):
        request = {"method": "POST", "url": "/v1/messages", "headers": {}, "body": body}
        trace = {"timestamp": corpus.stamp(time), "mode": "lmstudio", "request": request}
        log.request(time - timedelta(milliseconds=12), len(body["messages"]))
        corpus.write(os.path.join(out, "traces", "lmstudio"), trace)
        size += len(json.dumps(trace, ensure_ascii=False, indent=2).encode())
    return size


def claude_code(seed, out):
    """Bodies as Claude Code records them, each in a file."""
    folder, size = os.path.join(out, str(seed), "bodies"), 0
    os.makedirs(folder, exist_ok=True)
    for number, (_, body) in enumerate(session(seed)):
        path = os.path.join(folder, f"{seed:08x}-0000-4000-8000-{number:012x}")
        for kind, content in (("request", body), ("response", REPLY)):
            with open(f"{path}.{kind}.json", "w", encoding="utf-8") as file:
                size += file.write(compact(content))
    return size


FILES = {"har": (har, "har"), "claude-tap": (claude_tap, "jsonl"), "claude-trace": (claude_trace, "jsonl"),
         "claude-code-router": (claude_code_router, "log"), "litellm": (litellm, "jsonl")}
FOLDERS = {"anyclaude": anyclaude, "claude-code": claude_code}
# One file each.
LOGS = {"llama-server": llama_server, "lm-studio": lm_studio}


def main():
    kind, out, most = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 1_000_000
    os.makedirs(out, exist_ok=True)
    size, seed = 0, 0
    while size < most:
        if kind in FOLDERS:
            size += FOLDERS[kind](seed, out)
        else:
            make, ending = FILES.get(kind) or (LOGS[kind], "log")
            name = f"{kind}.log" if kind in LOGS else f"{seed:04}.{ending}"
            with open(os.path.join(out, name), "a", encoding="utf-8") as file:
                size += file.write(make(seed))
        seed += 1


if __name__ == "__main__":
    main()
