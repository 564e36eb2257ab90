"""Recorded bodies in the form of `/v1/chat/completions`, whole or up to a place."""

import json
import re

PLACE = re.compile(r"(system|tools|messages)\[(\d+)\](?:\.content\[(\d+)\])?")
CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
ORDERS = {"system-first": ("system", "tools", "messages"), "tools-first": ("tools", "system", "messages")}


def compact(value):
    """The compact JSON of an element as the recorder writes it, in UTF-8."""
    if isinstance(value, dict):
        value = {name: member for name, member in value.items() if name != "cache_control"}
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def blocks(content):
    """Content as blocks; a string is the text block that it is short for."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


# --- the other form ---


def sendable(text):
    """Half of a surrogate pair, which no text can hold, as U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def words(content):
    """The text of content, a line for each block; images are left out."""
    return sendable("\n".join(block["text"] for block in blocks(content) if block["type"] == "text"))


def schema(recorded):
    """A schema that the server accepts: the recorder may have put a string in a schema's place."""
    if isinstance(recorded, dict):
        return {name: schema(member) for name, member in recorded.items()}
    return {} if recorded == "[REDACTED]" else recorded


def tool(definition):
    function = {"name": definition["name"], "description": definition.get("description", "")}
    function["parameters"] = schema(definition.get("input_schema", {}))
    return {"type": "function", "function": function}


def call(block):
    function = {"name": block["name"], "arguments": sendable(json.dumps(block["input"], ensure_ascii=False))}
    return {"id": block["id"], "type": "function", "function": function}


def message(recorded):
    """One message as those that it becomes: results of tools have messages of their own."""
    content = blocks(recorded["content"])
    for block in content:
        if block["type"] == "tool_result":
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": words(block["content"])}
    calls = [call(block) for block in content if block["type"] == "tool_use"]
    text = words(content)
    if text or calls:
        yield {"role": recorded["role"], "content": text, **({"tool_calls": calls} if calls else {})}


def converted(body):
    """A recorded body's prompt, without reasoning and images: `prefix --as text-only`."""
    system, tools = words(body.get("system")), [tool(each) for each in body.get("tools") or []]
    messages = [{"role": "system", "content": system}] if system else []
    for each in body["messages"]:
        messages += message(each)
    return {"messages": messages, **({"tools": tools} if tools else {})}


# --- up to a place ---


def cut_text(block, common_bytes):
    """The text block with no more of its text than lies in that many bytes of its compact JSON."""
    head, tail = compact({**block, "text": ""})[:-2], b'"}'
    said = compact(block)[:-len(tail)]
    escaped = said[len(head):max(common_bytes, len(head))].decode(errors="ignore")
    return {**block, "text": json.loads(f'"{CUT_ESCAPE.sub("", escaped)}"', strict=False)}


def cut_blocks(content, index, common_bytes):
    kept, following = blocks(content)[:index], blocks(content)[index:index + 1]
    return kept + [cut_text(block, common_bytes) for block in following if block["type"] == "text"]


def up_to(body, broken, order):
    """The body with nothing after the place where `traces prefix` says that it broke.

    Of a tool nothing is kept: what JSON has in common cannot be cut from a definition.
    """
    part, index, block = PLACE.fullmatch(broken["element"]).groups()
    index, common = int(index), broken["common_bytes"]
    parts = ORDERS[order]
    cut = {name: body.get(name) or [] if parts.index(name) < parts.index(part) else [] for name in parts}
    if part == "system":
        cut[part] = cut_blocks(body.get("system"), index, common)
    elif part == "tools":
        cut[part] = body.get("tools", [])[:index]
    else:
        cut[part] = body["messages"][:index]
        for last in body["messages"][index:index + 1]:
            cut[part] = cut[part] + [{**last, "content": cut_blocks(last["content"], int(block), common)}]
    return cut
