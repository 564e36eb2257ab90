#!/usr/bin/env python3
"""Makes what other recorders and servers would have written of the same conversations.

    sources.py KIND OUT MEGABYTES     KIND is one of those below

Bodies are those of corpus.py, of about 150 kB; a file holds one session of 30 requests.
The same arguments make the same files.
"""
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from datetime import timedelta

import corpus

REQUESTS = 30
URL = "http://127.0.0.1:1234/v1/messages"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def reply(tokens):
    """The answer to a prompt of so many tokens."""
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": corpus.MODEL, "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "Done."}], "usage": {"input_tokens": tokens, "output_tokens": 11}}


def stream(tokens):
    events = [("message_start", {"message": {**reply(tokens), "content": []}}),
              ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 11}}),
              ("message_stop", {})]
    return "".join(f"event: {name}\ndata: {json.dumps({'type': name, **event})}\n\n" for name, event in events)


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


def responses(body):
    """The body in the shape of Responses."""
    items = []
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            items.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": content}]})
            continue
        for block in content:
            if block["type"] == "text":
                items.append({"type": "message", "role": "assistant",
                              "content": [{"type": "output_text", "text": block["text"]}]})
            elif block["type"] == "tool_use":
                items.append({"type": "function_call", "call_id": block["id"], "name": block["name"],
                              "arguments": compact(block["input"])})
            else:
                items.append({"type": "function_call_output", "call_id": block["tool_use_id"],
                              "output": block["content"]})
    return {"model": corpus.MODEL, "instructions": body["system"][0]["text"], "input": items, "stream": True,
            "max_output_tokens": 32000, "tools": [
                {"type": "function", "name": tool["name"], "parameters": tool["input_schema"]} for tool in body["tools"]]}


def har(seed):
    def entry(time, body):
        return {"startedDateTime": corpus.stamp(time), "time": 5000,
                "request": {"method": "POST", "url": URL, "headers": [], "postData": {"text": compact(body)}},
                "response": {"status": 200,
                             "content": {"mimeType": "text/event-stream", "text": stream(corpus.tokens(body))}}}
    entries = [entry(time, body) for time, body in session(seed)]
    return json.dumps({"log": {"version": "1.2", "entries": entries}}, ensure_ascii=False, indent=4)


def of_claude_tap(number, time, body, tokens, path="/v1/messages"):
    request = {"method": "POST", "path": path, "headers": {}, "body": body}
    return {"timestamp": corpus.stamp(time), "request_id": f"r{number}", "turn": number + 1,
            "duration_ms": 5000, "request": request, "response": {"status": 200, "body": reply(tokens)}}


def claude_tap(seed):
    return lines(compact(of_claude_tap(number, time, body, corpus.tokens(body)))
                 for number, (time, body) in enumerate(session(seed)))


def claude_tap_responses(seed):
    return lines(compact(of_claude_tap(number, time, responses(body), corpus.tokens(body), "/v1/responses"))
                 for number, (time, body) in enumerate(session(seed)))


def claude_tap_gz(seed):
    return gzip.compress(claude_tap(seed).encode(), 6)


def claude_tap_zst(seed):
    return subprocess.run(["zstd", "-q", "-c"], input=claude_tap(seed).encode(), check=True, capture_output=True).stdout


def claude_tap_bundle(seed):
    """With each tool list and message once; what the records come to is some five times as much."""
    blobs, version = {}, {"version": 1, "encoding": "json-blob-ref"}

    def reference(refs, path, value):
        text = compact(value)
        name = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        told = {"hash": name, "bytes": len(text.encode())}
        blobs[name] = {"kind": "json", "bytes": told["bytes"], "payload": value}
        refs.append({"path": path, **told})
        return {"__claude_tap_blob_ref__": {"version": 1, "kind": "json", **told}}

    def record(number, time, body):
        refs = []
        tools = reference(refs, "/request/body/tools", body["tools"])
        messages = [reference(refs, f"/request/body/messages/{at}", message)
                    for at, message in enumerate(body["messages"])]
        of = of_claude_tap(number, time, {**body, "messages": messages, "tools": tools}, corpus.tokens(body))
        return {"__claude_tap_compact_record__": {**version, "refs": refs}, "record": of}

    records = [record(number, *sent) for number, sent in enumerate(session(seed))]
    head = {**version, "record_count": len(records), "blob_count": len(blobs)}
    return compact({"__claude_tap_compact_trace__": head, "records": records, "blobs": blobs})


def claude_trace(seed):
    def line(time, body):
        seconds = time.timestamp()
        request = {"timestamp": seconds, "method": "POST", "url": URL, "headers": {}, "body": body}
        response = {"timestamp": seconds + 3, "status_code": 200, "headers": {}, "body_raw": stream(corpus.tokens(body))}
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
                        "endTime": start + 3, "model": corpus.MODEL, "prompt_tokens": corpus.tokens(body),
                        "completion_tokens": 11,
                        "messages": chat(body)["messages"], "model_parameters": {"tools": chat(body)["tools"]}})
    return lines(line(number, time, body) for number, (time, body) in enumerate(session(seed)))


def stamp(us):
    """The time since a llama-server's start."""
    return f"{us // 60_000_000}.{us // 1_000_000 % 60:02}.{us // 1_000 % 1_000:03}.{us % 1_000:03}"


def llama_server(seed):
    """At the verbosity that tells of each token."""
    def of_task(number):
        task, at = 300 * number, 30_000_000 * number
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
            yield head + "srv    operator(): http: streamed chunk: data: " + compact(reply(3414))
        end = stamp(at + 2_000_000)
        yield f"{end} I slot print_timing: {slot} prompt eval time =    1000.00 ms /  3414 tokens (x)"
        yield f"{end} I slot print_timing: {slot}        eval time =     871.49 ms /    25 tokens (x)"
        yield f"{end} I slot      release: {slot} stop processing: n_tokens = 3438, truncated = 0"
        yield f"{end} I srv  update_slots: all slots are idle"
    return lines(line for number in range(200 * seed, 200 * (seed + 1)) for line in of_task(number))


def llama_server_tasks(seed):
    """At the verbosity that it has unless asked for another: nothing but tasks, two slots in turn."""
    def of_task(number):
        chance = random.Random(number)
        output, read, held = chance.randrange(8, 400), chance.randrange(20, 4000), chance.randrange(9000)
        read_us, write_us = 770 * read, 33_100 * output
        at = 20_000_000 * number
        end = at + read_us + write_us
        slot = f"id  {number % 2} | task {402 * number} |"
        yield (f"{stamp(at)} I slot get_availabl: id  {number % 2} | task -1 | selected slot by LCP similarity, "
               "f_sim_best = 0.129 (> 0.100 thold), f_keep = 0.994")
        yield f"{stamp(at)} I slot launch_slot_: {slot} processing task, is_child = 0"
        for part in range(1, 9):
            yield (f"{stamp(at + read_us * part // 8)} I slot print_timing: {slot} prompt processing, n_tokens = "
                   f"{read * part // 8:6}, progress = {part / 8:.2f}, t = {read_us * part / 8e6:6.2f} s / 1298.70 "
                   "tokens per second")
        print_timing = f"{stamp(end)} I slot print_timing: {slot}"
        yield (f"{print_timing} prompt eval time =  {read_us / 1000:10.2f} ms / {read:5} tokens (    0.77 ms per token,"
               "  1298.70 tokens per second)")
        yield (f"{print_timing}        eval time =  {write_us / 1000:10.2f} ms / {output:5} tokens (   33.10 ms per token,"
               "    30.21 tokens per second)")
        yield f"{print_timing}       total time =  {(read_us + write_us) / 1000:10.2f} ms / {read + output:5} tokens"
        yield f"{print_timing}    graphs reused =  {number:9}"
        yield f"{stamp(end)} I slot      release: {slot} stop processing: n_tokens = {held + read + output}, truncated = 0"
        yield f"{stamp(end)} I srv  log_server_r: done request: POST /v1/messages 127.0.0.1 200"
        yield f"{stamp(end)} I srv    operator(): cleaning up before exit of the stream"
        yield f"{stamp(end)} I srv  update_slots: all slots are idle"
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
        log.request(time - timedelta(milliseconds=12), body)
        corpus.write(os.path.join(out, "traces", "lmstudio"), trace)
        size += len(json.dumps(trace, ensure_ascii=False, indent=2).encode())
    return size


def claude_code(seed, out):
    """Bodies as Claude Code records them, each in a file, and its events."""
    root, size = os.path.join(out, str(seed)), 0
    os.makedirs(os.path.join(root, "bodies"), exist_ok=True)

    def event(time, name, **told):
        told |= {"event.name": name, "session.id": f"{seed:08x}-0000-4000-8000-000000000000"}
        values = [{"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue": value}}
                  for key, value in told.items()]
        return {"timeUnixNano": str(int(time.timestamp() * 1e9)), "body": {"stringValue": f"claude_code.{name}"},
                "attributes": values}

    for number, (time, body) in enumerate(session(seed)):
        name = f"{seed:08x}-0000-4000-8000-{number:012x}"
        path = os.path.join(root, "bodies", name)
        for kind, content in (("request", body), ("response", reply(corpus.tokens(body)))):
            with open(f"{path}.{kind}.json", "w", encoding="utf-8") as file:
                size += file.write(compact(content))
        events = [
            event(time, "api_request_body", body_ref=f"{path}.request.json", request_body_id=name, model=corpus.MODEL),
            event(time + timedelta(seconds=3), "api_request", model=corpus.MODEL,
                  input_tokens=corpus.tokens(body), output_tokens=11,
                  cache_read_tokens=0, cache_creation_tokens=0, duration_ms=3000, ttft_ms=1000),
            event(time + timedelta(seconds=3.001), "api_response_body", body_ref=f"{path}.response.json",
                  request_body_id=name, model=corpus.MODEL)]
        with open(os.path.join(root, "logs.jsonl"), "a", encoding="utf-8") as file:
            size += file.write(compact({"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [
                {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": events}]}]}) + "\n")
    return size


def bare(shape):
    """Bodies that are files of their own."""
    def make(seed, out):
        size = 0
        for number, (_, body) in enumerate(session(seed)):
            with open(os.path.join(out, f"{seed:04}-{number:02}.json"), "w", encoding="utf-8") as file:
                size += file.write(compact(shape(body)))
        return size
    return make


FILES = {"har": (har, "har"), "claude-tap": (claude_tap, "jsonl"), "claude-trace": (claude_trace, "jsonl"),
         "claude-code-router": (claude_code_router, "log"), "litellm": (litellm, "jsonl"),
         "claude-tap-responses": (claude_tap_responses, "jsonl"), "claude-tap-bundle": (claude_tap_bundle, "json"),
         "claude-tap-gz": (claude_tap_gz, "jsonl.gz"), "claude-tap-zst": (claude_tap_zst, "jsonl.zst")}
FOLDERS = {"anyclaude": anyclaude, "claude-code": claude_code, "bare-anthropic": bare(lambda body: body),
           "bare-chat": bare(chat), "bare-responses": bare(responses)}
# One file each.
LOGS = {"llama-server": llama_server, "llama-server-tasks": llama_server_tasks, "lm-studio": lm_studio}


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
            made = make(seed)
            # What is compressed, and what a bundle refers to, counts as what it stands for.
            packed = isinstance(made, bytes) or kind == "claude-tap-bundle"
            size += len(claude_tap(seed)) if packed else 0
            with open(os.path.join(out, name), "ab") as file:
                size += 0 if packed else len(made.encode())
                file.write(made if isinstance(made, bytes) else made.encode())
        seed += 1


if __name__ == "__main__":
    main()
