"""What other recorders write of one conversation of three requests, below `recorders/`.

`truth.jsonl` says what each file must be read as: one line for each request.
"""

import base64
import json

import corpus_requests as make
import corpus_text as words

MODEL = "heron-30b"
SESSION = "55555555-aaaa-4bbb-8ccc-000000000005"
AGENT = "claude-cli/2.1.210 (external, cli)"
BEGAN = make.moment("2026-02-03T09:15:00.250Z")
# After the beginning; time to first token, total; prompt, cached and output tokens.
TURNS = [(0, 2400, 2900, 1150, 0, 11), (4000, 210, 900, 1200, 1160, 40), (6000, 150, 700, 1250, 1239, 33)]
TOOLS = [*(each for each in words.BUILT_IN_TOOLS if each["name"] in ("Grep", "LS", "Read")), words.MCP_TOOLS[0]]
SYSTEM = words.IDENTITY + "\n" + words.GUIDE


def call(number):
    return f"call_{number}", "Read", {"file_path": f"/birds/{number}.txt"}


def anthropic(turn):
    messages = [{"role": "user", "content": [{"type": "text", "text": "Which birds came? \u201ctits\u201d too"}]}]
    for number in range(turn):
        name, tool, arguments = call(number)
        messages.append({"role": "assistant", "content": [{"type": "tool_use", "id": name, "name": tool, "input": arguments}]})
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": f"{number + 3} robins"}]})
    user = make.compact({"device_id": make.HASH, "account_uuid": "", "session_id": SESSION})
    # Claude Code writes its messages before its system prompt.
    return {
        "model": "claude-sonnet-4-5",
        "messages": messages,
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
        "tools": TOOLS,
        "metadata": {"user_id": user},
        "max_tokens": 32000,
        "stream": True,
    }


def functions():
    return [{"name": each["name"], "description": each["description"], "parameters": each["input_schema"]} for each in TOOLS]


def chat(turn):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Which birds came? \u201ctits\u201d too"}]
    for number in range(turn):
        name, tool, arguments = call(number)
        function = {"name": tool, "arguments": make.compact(arguments)}
        messages.append({"role": "assistant", "content": None, "tool_calls": [{"id": name, "type": "function", "function": function}]})
        messages.append({"role": "tool", "tool_call_id": name, "content": f"{number + 3} robins"})
    tools = [{"type": "function", "function": each} for each in functions()]
    return {"model": MODEL, "max_tokens": 32000, "messages": messages, "tools": tools, "stream": True, "stream_options": {"include_usage": True}}


def responses(turn):
    text = lambda kind, said: [{"type": kind, "text": said}]
    late = {"type": "additional_tools", "tools": [{"type": "function", **functions()[3]}]}
    items = [
        late,
        {"type": "message", "role": "developer", "content": text("input_text", "Stay in /birds.")},
        {"type": "message", "role": "user", "content": text("input_text", "Which birds came? \u201ctits\u201d too")},
    ]
    for number in range(turn):
        name, tool, arguments = call(number)
        items.append({"type": "function_call", "name": tool, "arguments": make.compact(arguments), "call_id": name})
        items.append({"type": "function_call_output", "call_id": name, "output": f"{number + 3} robins"})
    known = [{"type": "function", **each} for each in functions()]
    tools = [known[0], {"type": "namespace", "name": "files", "description": "Files.", "tools": known[1:3]}]
    return {"model": MODEL, "instructions": SYSTEM, "input": items, "tools": tools, "stream": True, "prompt_cache_key": SESSION}


def events(*data):
    return "".join(f"event: {each['type']}\ndata: {make.compact(each)}\n\n" for each in data)


def anthropic_answer(turn):
    _, _, _, prompt, cached, output = TURNS[turn]
    usage = {"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": output}
    start = {"type": "message_start", "message": {"model": MODEL, "usage": {**usage, "output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output}}
    whole = {"type": "message", "role": "assistant", "model": MODEL, "content": [{"type": "text", "text": "Robins."}], "stop_reason": "end_turn", "usage": usage}
    return [start, block, delta, {"type": "message_stop"}], whole


def chat_chunks(turn, usage=True):
    _, _, _, prompt, cached, output = TURNS[turn]
    counted = {"prompt_tokens": prompt, "completion_tokens": output, "prompt_tokens_details": {"cached_tokens": cached}}
    chunk = lambda delta, reason=None: {"model": MODEL, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    chunks = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Robins."}), chunk({}, "stop")]
    return chunks + [{"model": MODEL, "choices": [], "usage": counted}] if usage else chunks


def chat_stream(turn):
    return "".join(f"data: {make.compact(each)}\n\n" for each in chat_chunks(turn)) + "data: [DONE]\n\n"


def responses_events(turn):
    _, _, _, prompt, cached, output = TURNS[turn]
    usage = {"input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": output, "total_tokens": prompt + output}
    answer = {"object": "response", "model": MODEL, "status": "completed", "output": [{"type": "message", "role": "assistant", "content": []}], "usage": usage}
    return [{"type": "response.created", "response": {"model": MODEL, "output": []}}, {"type": "response.completed", "response": answer}]


def headers():
    return {"User-Agent": AGENT, "X-Claude-Code-Session-Id": SESSION, "Content-Type": "application/json"}


def har():
    def entry(began, total, method, url, body, status, content):
        listed = [{"name": name, "value": value} for name, value in headers().items()]
        request = {"method": method, "url": f"http://127.0.0.1:1234{url}", "headers": listed}
        if body is not None:
            request["postData"] = {"mimeType": "application/json", "text": make.compact(body)}
        local = make.iso(began + 3_600_000).replace("Z", "+01:00")
        timings = {"send": 1, "wait": 3, "receive": total - 4}
        return {"startedDateTime": local, "time": total + 0.25, "request": request, "response": {"status": status, "content": content}, "timings": timings}

    entries = [entry(BEGAN - 500, 4, "HEAD", "/", None, 200, {"size": 0, "text": ""})]
    for turn, (after, _, total, *_) in enumerate(TURNS):
        stream = chat_stream(turn)
        encoded = {"encoding": "base64", "text": base64.b64encode(stream.encode()).decode()}
        content = encoded if turn == 1 else {"mimeType": "text/event-stream", "text": stream}
        entries.append(entry(BEGAN + after, total, "POST", "/v1/chat/completions", chat(turn), 200, content))
    log = {"log": {"version": "1.2", "creator": {"name": "mitmproxy"}, "entries": entries}}
    return "\ufeff" + json.dumps(log, indent=1, ensure_ascii=False)


def tap_record(turn, body, path, response):
    after, _, total, *_ = TURNS[turn]
    ended = make.iso(BEGAN + after + total).replace("Z", "000+00:00")
    request = {"method": "POST", "path": path, "headers": headers(), "body": body}
    return {"timestamp": ended, "request_id": f"req_{turn}", "turn": turn + 1, "duration_ms": total, "request": request, "response": response, "upstream_base_url": "http://127.0.0.1:1234"}


def tap():
    for turn in range(3):
        data, whole = anthropic_answer(turn)
        listed = [{"event": each["type"], "data": each} for each in data]
        # The second stream was not put together.
        body = None if turn == 1 else whole
        yield tap_record(turn, anthropic(turn), "/v1/messages?beta=true", {"status": 200, "body": body, "sse_events": listed})


def bundle():
    """The records with their tools and first messages as references."""
    blobs, records = {}, []

    def stored(value):
        known = next((name for name, blob in blobs.items() if blob["payload"] == value), None)
        name = known or f"sha256:{len(blobs):064x}"
        size = len(make.compact(value).encode())
        blobs[name] = {"kind": "json", "bytes": size, "payload": value}
        return {"__claude_tap_blob_ref__": {"version": 1, "kind": "json", "hash": name, "bytes": size}}

    for record in tap():
        body = record["request"]["body"]
        body["tools"], body["messages"][0] = stored(body["tools"]), stored(body["messages"][0])
        records.append({"__claude_tap_compact_record__": {"version": 1, "refs": []}, "record": record})
    head = {"version": 1, "encoding": "json-blob-ref", "record_count": 3, "blob_count": len(blobs)}
    return make.stringify({"__claude_tap_compact_trace__": head, "records": records, "blobs": blobs})


def codex():
    for turn in range(3):
        response = {"status": 101, "body": None, "ws_events": responses_events(turn)}
        yield {**tap_record(turn, responses(turn), "/backend-api/codex/responses", response), "transport": "websocket"}


def claude_trace():
    for turn, (after, _, total, *_) in enumerate(TURNS):
        start, (data, whole) = BEGAN + after, anthropic_answer(turn)
        request = {"timestamp": start / 1000, "method": "POST", "url": "http://127.0.0.1:1234/v1/messages?beta=true", "headers": headers(), "body": anthropic(turn)}
        # One generation writes the end as the answer's time and local time without a zone, the
        # other writes when the headers came, and the end in UTC.
        if turn == 0:
            response = {"timestamp": (start + total) / 1000, "status_code": 200, "headers": {}, "body": whole}
            yield {"request": request, "response": response, "logged_at": "2026-02-03T10:15:09.123456"}
        else:
            response = {"timestamp": (start + 20) / 1000, "status_code": 200, "headers": {}, "body_raw": events(*data)}
            yield {"request": request, "response": response, "logged_at": make.iso(start + total)}


def router():
    line = lambda time, level, **more: {"level": level, "time": time, "pid": 4711, "hostname": "heron", **more}
    yield line(BEGAN - 900, 30, msg="Server listening at http://127.0.0.1:3456")
    yield line(BEGAN - 500, 30, reqId="req-1", req={"method": "HEAD", "url": "/"}, msg="incoming request")
    yield line(BEGAN - 499, 30, reqId="req-1", res={"statusCode": 200}, responseTime=1.2, msg="request completed")
    for turn, (after, ttft, total, *_) in enumerate(TURNS):
        start, about = BEGAN + after, {"reqId": f"req-{turn + 2}"}
        yield line(start - 60, 30, **about, req={"method": "POST", "url": "/v1/messages?beta=true"}, msg="incoming request")
        yield line(start - 58, 30, **about, data=anthropic(turn), type="request body")
        sent = {"method": "POST", "headers": {}, "body": make.compact(chat(turn))}
        yield line(start, 20, **about, request=sent, requestUrl="http://127.0.0.1:1234/v1/chat/completions", msg="final request")
        for place, chunk in enumerate(chat_chunks(turn)):
            yield line(start + ttft + place, 20, **about, type="recieved data", data=make.compact(chunk))
        yield line(start + total, 30, **about, res={"statusCode": 200}, responseTime=total + 60.5, msg="request completed")


def litellm():
    for turn, (after, ttft, total, prompt, cached, output) in enumerate(TURNS):
        start, body = BEGAN + after, chat(turn)
        usage = {"prompt_tokens": prompt, "completion_tokens": output, "prompt_tokens_details": {"cached_tokens": cached}}
        # Anthropic's calls: the first time is that of the headers, and the system prompt stands elsewhere.
        is_anthropic = turn == 2
        parameters = {"stream": True, "max_tokens": 32000, "tools": body["tools"]}
        messages = body["messages"]
        if is_anthropic:
            parameters = {"stream": True, "max_output_tokens": 32000, "tools": [{"type": "function", **each} for each in functions()], "instructions": SYSTEM}
            messages = anthropic(turn)["messages"]
        yield {
            "id": f"chatcmpl-{turn}",
            "litellm_call_id": f"call-{turn}",
            "call_type": "anthropic_messages" if is_anthropic else "acompletion",
            "stream": True,
            "status": "success",
            "custom_llm_provider": "lm_studio",
            "startTime": start / 1000,
            "endTime": (start + total) / 1000,
            "completionStartTime": (start + (20 if is_anthropic else ttft)) / 1000,
            "model": f"lm_studio/{MODEL}",
            "metadata": {
                "user_api_key_request_route": "/v1/messages" if is_anthropic else "/v1/chat/completions",
                "user_agent": AGENT,
                "requester_custom_headers": {"x-claude-code-session-id": SESSION},
                "usage_object": usage,
            },
            "model_group": "local",
            "messages": messages,
            "response": {"object": "chat.completion", "model": "local", "choices": [{"finish_reason": "stop", "message": {"content": "Robins."}}]},
            "model_parameters": parameters,
        }


def size(value):
    return len(make.compact(value).encode("utf-8"))


def truth(file, turn, source, api, body, asked, ttft=None, proxy=None, whole=True):
    """What a request of a file must be read as."""
    after, _, total, prompt, cached, output = TURNS[turn]
    row = {"file": file, "source": source, "api": api, "start": make.iso(BEGAN + after), "total_ms": total, "ttft_ms": ttft, "proxy_ms": proxy}
    row |= {"prompt_tokens": prompt, "cached_tokens": cached, "output_tokens": output, "requested_model": asked, "model": MODEL, "session": SESSION}
    if api == "anthropic":
        system, messages, tools, count = [body["system"]], body["messages"], [body["tools"]], len(TOOLS)
    elif api == "openai_chat":
        system, messages, tools, count = [body["messages"][0]["content"]], body["messages"][1:], [body["tools"]], len(TOOLS)
    else:
        items = body["input"]
        system, messages, tools, count = [body["instructions"], items[1]["content"]], items[2:], [body["tools"], items[0]["tools"]], len(TOOLS)
    text = "".join(each if isinstance(each, str) else "".join(part["text"] for part in each) for each in system)
    row |= {"system_chars": len(text), "system_bytes": sum(map(size, system)), "tool_count": count, "tools_bytes": sum(map(size, tools))}
    row |= {"message_count": len(messages), "messages_bytes": size(messages), "body_bytes": size(body) if whole else None}
    return make.compact(row) + "\n"


def all_files():
    lines = lambda records: "".join(make.compact(each) + "\n" for each in records)
    files = {
        "mitmproxy.har": har(),
        "claude-tap.jsonl": lines(tap()),
        "claude-tap-bundle.json": bundle(),
        "codex.jsonl": lines(codex()),
        "claude-trace.jsonl": lines(claude_trace()),
        "ccr.log": lines(router()),
        "litellm.jsonl": lines(litellm()),
    }
    expected = []
    for turn, (_, ttft, *_) in enumerate(TURNS):
        asked = "claude-sonnet-4-5"
        expected.append(truth("mitmproxy.har", turn, "har", "openai_chat", chat(turn), MODEL))
        for name in ("claude-tap.jsonl", "claude-tap-bundle.json"):
            expected.append(truth(name, turn, "claude_tap", "anthropic", anthropic(turn), asked))
        expected.append(truth("codex.jsonl", turn, "claude_tap", "openai_responses", responses(turn), MODEL))
        expected.append(truth("claude-trace.jsonl", turn, "claude_trace", "anthropic", anthropic(turn), asked))
        expected.append(truth("ccr.log", turn, "claude_code_router", "openai_chat", chat(turn), asked, ttft=ttft, proxy=60))
        if turn < 2:
            expected.append(truth("litellm.jsonl", turn, "litellm", "openai_chat", chat(turn), "local", ttft=ttft, whole=False))
    body = {**anthropic(2), "system": SYSTEM, "tools": [{"type": "function", **each} for each in functions()]}
    expected.append(truth("litellm.jsonl", 2, "litellm", "anthropic", body, "local", whole=False))
    yield from files.items()
    yield "truth.jsonl", "".join(sorted(expected))
