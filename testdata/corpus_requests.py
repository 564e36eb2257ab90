"""Request bodies and trace files, as the recorder writes them."""

import copy
import datetime
import json
import re

import corpus_text as words

SONNET = "claude-sonnet-4-20250514"
HAIKU = "claude-3-5-haiku-20241022"
HASH = "5f3a9c0d" * 8
ACCOUNT = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
SESSIONS = {
    "fast": "11111111-aaaa-4bbb-8ccc-000000000001",
    "slow": "22222222-aaaa-4bbb-8ccc-000000000002",
    "unnamed": "33333333-aaaa-4bbb-8ccc-000000000003",
    "claude": "44444444-aaaa-4bbb-8ccc-000000000004",
}


def moment(text):
    """Milliseconds since 1970 of an RFC 3339 time in UTC."""
    time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(time.timestamp() * 1000)


def iso(milliseconds):
    """What `toISOString` makes of milliseconds since 1970."""
    time = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def lone_surrogates(text):
    """Write what UTF-8 cannot hold as an escape, as `JSON.stringify` does."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def stringify(value):
    """`JSON.stringify(value, null, 2)`."""
    return lone_surrogates(json.dumps(value, indent=2, ensure_ascii=False))


def compact(value):
    """`JSON.stringify(value)`."""
    return lone_surrogates(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def user_id(shape, session):
    """The three shapes of `metadata.user_id`, oldest first."""
    if shape == "bare":
        return HASH
    if shape == "joined":
        return f"user_{HASH}_account_{ACCOUNT}_session_{SESSIONS[session]}"
    return compact({"device_id": HASH, "account_uuid": ACCOUNT, "session_id": SESSIONS[session]})


def block(words_, cached=True):
    entry = {"type": "text", "text": words_}
    return {**entry, "cache_control": {"type": "ephemeral"}} if cached else entry


def system_blocks(date="2025-11-16", billing=None):
    """The system prompt as blocks; `billing` numbers a header block that changes each time."""
    blocks = [block(words.IDENTITY), block(words.GUIDE + "\n" + words.ENVIRONMENT.format(date=date))]
    if billing is not None:
        header = words.BILLING.format(patch=billing % 3, hash=f"{billing * 7919 % 1048576:05x}")
        blocks.insert(0, block(header, cached=False))
    return blocks


def with_cache_mark(messages):
    """A copy of the messages with `cache_control` on the last block of the newest one."""
    messages = copy.deepcopy(messages)
    content = messages[-1]["content"]
    if isinstance(content, list):
        content[-1]["cache_control"] = {"type": "ephemeral"}
    return messages


def turn(messages, user, tools=None, system=None, **more):
    """A turn of a conversation."""
    all_tools = [*words.BUILT_IN_TOOLS, *words.MCP_TOOLS, words.SERVER_TOOL]
    return {
        "model": SONNET,
        "messages": with_cache_mark(messages),
        "temperature": 1,
        "system": system_blocks() if system is None else system,
        "tools": all_tools if tools is None else tools,
        "metadata": {"user_id": user},
        "max_tokens": 32000,
        "stream": True,
        **more,
    }


def research(count, user):
    """A turn of the subagent: another system prompt, fewer tools."""
    system = [block(words.IDENTITY), block(words.RESEARCHER + "\n" + words.ENVIRONMENT.format(date="2025-11-16"))]
    return turn(words.RESEARCH[:count], user, tools=words.READ_ONLY_TOOLS, system=system)


def background(system, message, user, **more):
    """A small request on the side, without tools."""
    body = {"model": HAIKU, "max_tokens": 512, "messages": [{"role": "user", "content": message}]}
    if system is not None:
        body["system"] = [block(system)] if isinstance(system, str) and system else system
    return {**body, "temperature": 0, "metadata": {"user_id": user}, "stream": True, **more}


def probe(user):
    """Asks whether any quota is left."""
    return {"model": HAIKU, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}], "metadata": {"user_id": user}}


def count_tokens(messages, user):
    body = turn(messages, user)
    return {name: body[name] for name in ("model", "messages", "system", "tools")}


def headers(body, host, version="1.0.6"):
    """Request headers; the recorder redacts the credential."""
    return {
        "accept": "application/json",
        "x-stainless-retry-count": "0",
        "x-stainless-lang": "js",
        "x-stainless-package-version": "0.51.0",
        "x-stainless-os": "MacOS",
        "x-stainless-arch": "arm64",
        "x-stainless-runtime": "node",
        "x-stainless-runtime-version": "v23.4.0",
        "anthropic-version": "2023-06-01",
        "x-app": "cli",
        "user-agent": f"claude-cli/{version} (external, cli)",
        "content-type": "application/json",
        "anthropic-beta": "oauth-2025-04-20",
        "accept-language": "*",
        "sec-fetch-mode": "cors",
        "authorization": "[REDACTED]",
        "content-length": str(len(compact(body).encode("utf-8"))),
        "accept-encoding": "identity",
        "host": host,
        "connection": "keep-alive",
    }


def trace(time, mode, body, url="/v1/messages?beta=true", response=None, host="localhost:52017", version="1.0.6"):
    """(file name, text) of one trace."""
    value = {
        "timestamp": iso(time),
        "mode": mode,
        "request": {"method": "POST", "url": url, "headers": headers(body, host, version), "body": body},
    }
    if response is not None:
        value["response"] = response
    return iso(time).replace(":", "-").replace(".", "-") + ".json", stringify(value)


# --- replies, in claude mode ---


def reply(body, status=200, kind="application/json"):
    fields = {"content-type": kind, "date": "Sun, 16 Nov 2025 01:10:00 GMT", "server": "cloudflare"}
    return {"statusCode": status, "headers": fields, "body": body}


def message(content, stop_reason, usage):
    return {
        "id": "msg_01heron",
        "type": "message",
        "role": "assistant",
        "model": SONNET,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def event(name, **fields):
    return f"event: {name}\ndata: {compact({'type': name, **fields})}\n\n"


def streamed(blocks, stop_reason, usage, output_tokens):
    """The text of a stream: each block is (its start, its deltas)."""
    start = message([], None, {**usage, "output_tokens": 1, "service_tier": "standard"})
    parts = [event("message_start", message=start)]
    for index, (begin, deltas) in enumerate(blocks):
        parts.append(event("content_block_start", index=index, content_block=begin))
        if index == 0:
            parts.append(event("ping"))
        parts += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        parts.append(event("content_block_stop", index=index))
    end = {"stop_reason": stop_reason, "stop_sequence": None}
    parts.append(event("message_delta", delta=end, usage={"output_tokens": output_tokens}))
    parts.append(event("message_stop"))
    return reply("".join(parts), kind="text/event-stream; charset=utf-8")


def text_block(text):
    pieces = re.findall(r"\S+\s*", text)
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]


def tool_block(name, arguments, kind="tool_use"):
    raw = compact(arguments)
    start = {"type": kind, "id": "toolu_01stream", "name": name, "input": {}}
    return start, [{"type": "input_json_delta", "partial_json": raw[at : at + 12]} for at in range(0, len(raw), 12)]
