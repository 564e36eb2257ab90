#!/usr/bin/env python3
"""Compute every number that `traces list` takes from a trace, independently.

    check_sizes.py --traces target/release/traces FOLDER…   compare, exit 1 on any difference
    check_sizes.py --dump FOLDER…                           print the computed records as NDJSON

The definitions are those of the contract: a size is the number of bytes of a value as it
stands in the file, less the white space outside strings. So nothing here goes through
`json.loads` for a trace: a small tokenizer keeps escapes, numbers, duplicate members and
lone surrogates as they were written. Only the output of `traces` is read with `json`.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile

U64_MAX = 2**64 - 1
BOM = b"\xef\xbb\xbf"
WHITE = re.compile(rb"[ \t\r\n]*")
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
NUMBER_START = re.compile(rb"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:(?<=[0-9])[eE][+-]?[0-9]*)?)?")
IN_STRING = re.compile(rb'["\\\x00-\x1f]')
ESCAPE_START = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{0,4})?')
LITERALS = (b"true", b"false", b"null")
SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
TOOL_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
PROMPT_MEMBERS = ("model", "messages", "system", "tools")


class Skipped(Exception):
    """The file is no trace; the only argument is the reason."""


class Node:
    """A JSON value: its kind, and where it lies in the compact text."""

    __slots__ = ("kind", "start", "end", "items")

    def __init__(self, kind, start):
        self.kind = kind  # object, array, string, number, true, false, null
        self.start = start
        self.end = start
        self.items = []  # of an array: nodes; of an object: (key node, value node)


class Document:
    """A parsed file: `compact` is its text without the white space outside strings."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.length = 0
        self.parts = []
        self.root = self.parse()
        self.compact = b"".join(self.parts)

    # --- reading ---

    def parse(self):
        """Read one value and nothing after it, without recursion."""
        root, stack = None, []
        while True:
            node = self.value()
            if stack:
                self.add(stack[-1], node)
            else:
                root = node
            if node.kind in ("object", "array"):
                stack.append((node, None))
            closed = self.between(stack)
            if closed:
                self.white()
                if self.at < len(self.data):
                    raise Skipped("invalid_json")
                return root

    def between(self, stack):
        """Read what stands between two values. True where the outermost one has ended."""
        while stack:
            node, _ = stack[-1]
            fresh = self.length == node.start + 1
            byte = self.peek()
            if byte == (b"}" if node.kind == "object" else b"]"):
                self.take(1)
                node.end = self.length
                stack.pop()
                continue
            if not fresh:
                if byte != b",":
                    raise Skipped("invalid_json")
                self.take(1)
            stack[-1] = (node, self.key() if node.kind == "object" else None)
            return False
        return True

    @staticmethod
    def add(parent, node):
        container, key = parent
        container.items.append((key, node) if container.kind == "object" else node)

    def key(self):
        if self.peek() != b'"':
            raise Skipped("invalid_json")
        key = self.value()
        if self.peek() != b":":
            raise Skipped("invalid_json")
        self.take(1)
        return key

    def value(self):
        """Read a scalar, or the opening bracket of an array or object."""
        byte = self.peek()
        node = Node({b"{": "object", b"[": "array", b'"': "string"}.get(byte), self.length)
        if node.kind == "string":
            self.take(self.string_end() - self.at)
        elif node.kind:
            self.take(1)
        elif byte in b"-0123456789":
            node.kind = "number"
            self.take(self.number_end() - self.at)
        else:
            node.kind = self.literal()
            self.take(len(node.kind))
        node.end = self.length
        return node

    def string_end(self):
        at = self.at + 1
        while found := IN_STRING.search(self.data, at):
            at = found.start()
            if self.data[at] == 0x22:
                return at + 1
            if self.data[at] != 0x5C:
                raise Skipped("invalid_json")
            escape = ESCAPE_START.match(self.data, at)
            complete = len(escape[0]) == (6 if escape[0][1:2] == b"u" else 2)
            if not complete:
                raise Skipped("truncated" if escape.end() == len(self.data) else "invalid_json")
            at = escape.end()
        raise Skipped("truncated")

    def number_end(self):
        begun = NUMBER_START.match(self.data, self.at)
        found = NUMBER.match(self.data, self.at)
        if found and found.end() == begun.end():
            return found.end()
        raise Skipped("truncated" if begun.end() == len(self.data) else "invalid_json")

    def literal(self):
        rest = self.data[self.at : self.at + 5]
        for word in LITERALS:
            if rest.startswith(word):
                return word.decode()
            if self.at + len(rest) == len(self.data) and word.startswith(rest):
                raise Skipped("truncated")
        raise Skipped("invalid_json")

    def white(self):
        self.at = WHITE.match(self.data, self.at).end()

    def peek(self):
        """The next byte that is not white space."""
        self.white()
        if self.at == len(self.data):
            raise Skipped("truncated")
        return self.data[self.at : self.at + 1]

    def take(self, count):
        self.parts.append(self.data[self.at : self.at + count])
        self.at += count
        self.length += count

    # --- asking ---

    def bytes_of(self, node):
        return self.compact[node.start : node.end]

    def size(self, node):
        return node.end - node.start if node else 0

    def members(self, node):
        """An object's members by decoded name; the last of equal names wins."""
        if node is None or node.kind != "object":
            return {}
        return {self.text(key): value for key, value in node.items}

    def elements(self, node):
        return node.items if node is not None and node.kind == "array" else []

    def text(self, node):
        """A string's characters; None for anything else."""
        if node is None or node.kind != "string":
            return None
        return decode(self.compact[node.start + 1 : node.end - 1].decode("utf-8"))

    def whole(self, node):
        """A whole number that fits 64 bits and is written with digits only; else None."""
        if node is None or node.kind != "number":
            return None
        digits = self.bytes_of(node)
        number = int(digits) if digits.isdigit() and len(digits) <= 20 else U64_MAX + 1
        return number if number <= U64_MAX else None


def decode(raw):
    """Undo JSON's escapes; a surrogate without its partner becomes U+FFFD."""

    def unescape(match):
        code = match[1]
        return chr(int(code[1:], 16)) if code[0] == "u" else SIMPLE_ESCAPES.get(code, code)

    def join(match):
        high, low = map(ord, match[0])
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    text = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", unescape, raw)
    text = re.sub("[\ud800-\udbff][\udc00-\udfff]", join, text)
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def read_document(data):
    """Parse a file's bytes, or raise the reason for skipping it."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"
        raise Skipped("truncated" if cut else "invalid_utf8") from None
    if data.startswith(BOM):
        data = data[len(BOM) :]
    if not data.strip(b" \t\r\n"):
        raise Skipped("empty")
    return Document(data)


# --- one trace ---


def read_trace(path):
    """The record of one file, with the compact body under `body` and `has_response`."""
    with open(path, "rb") as file:
        data = file.read()
    doc = read_document(data)
    trace = doc.members(doc.root)
    request = doc.members(trace.get("request"))
    body = request.get("body")
    members = doc.members(body)
    if not any(members.get(name) is not None and members[name].kind != "null" for name in PROMPT_MEMBERS):
        raise Skipped("not_a_trace")
    record = {
        "path": path,
        "paths": [path],
        "timestamp": timestamp(doc.text(trace.get("timestamp")), path),
        "mode": doc.text(trace.get("mode")),
        **prompt_sizes(doc, members, doc.size(body)),
        "endpoint": endpoint(doc.text(request.get("url"))),
        "requested_model": doc.text(members.get("model")),
        "file_bytes": len(data),
        "max_tokens": doc.whole(members.get("max_tokens")),
        "stream": "stream" in members and members["stream"].kind == "true",
        "response": response(doc, trace.get("response")),
        "total_ms": None,
        "body": doc.bytes_of(body),
    }
    record["kind"] = kind(record)
    return record


def prompt_sizes(doc, members, body_bytes):
    """All counts and sizes of a request body."""
    system, tools, messages = (members.get(name) for name in ("system", "tools", "messages"))
    if system is not None and system.kind == "string":
        texts = [doc.text(system)]
        blocks = 1 if texts[0] else 0
    else:
        found = [doc.text(doc.members(block).get("text")) for block in doc.elements(system)]
        texts, blocks = [text for text in found if text is not None], len(found)
    sizes = {
        "system_chars": sum(len(text) for text in texts),
        "system_text_bytes": sum(len(text.encode("utf-8")) for text in texts),
        "system_blocks": blocks,
        "system_bytes": doc.size(system),
        "tool_count": len(doc.elements(tools)),
        "tools_bytes": doc.size(tools),
        "message_count": len(doc.elements(messages)),
        "messages_bytes": doc.size(messages),
        "body_bytes": body_bytes,
    }
    parts = sizes["system_bytes"] + sizes["tools_bytes"] + sizes["messages_bytes"]
    return {**sizes, "other_bytes": body_bytes - parts}


def kind(record):
    if (record["endpoint"] or "").endswith("/count_tokens"):
        return "count_tokens"
    if record["max_tokens"] == 1:
        return "probe"
    return "conversation" if record["tool_count"] else "background"


def endpoint(url):
    """The path of a URL, absolute or not, without its query."""
    if url is None:
        return None
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*", "", path)


def timestamp(text, path):
    """UTC with milliseconds: the trace's own, else the file name's, else None."""
    stem = os.path.basename(path)[: -len(".json")]
    named = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z", stem)
    name = f"{named[1]}T{named[2]}:{named[3]}:{named[4]}.{named[5]}Z" if named else None
    return utc(text) or utc(name)


def utc(text):
    pattern = r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
    found = re.fullmatch(pattern, text or "", re.ASCII)
    if not found:
        return None
    day, time, fraction, zone = found.groups()
    micros = ((fraction or ".")[1:] + "000000")[:6]
    try:
        moment = datetime.datetime.fromisoformat(f"{day}T{time}.{micros}{zone.upper().replace('Z', '+00:00')}")
        moment = moment.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


# --- a response ---


def response(doc, node):
    if node is None or node.kind == "null":
        return None
    members = doc.members(node)
    body = members.get("body")
    found = dict.fromkeys(
        ("status", "input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens", "stop_reason", "tool_calls")
    )
    found["status"] = doc.whole(members.get("statusCode"))
    if body is not None and body.kind == "object":
        reply(doc, doc.members(body), found)
    elif body is not None and body.kind == "string":
        stream(doc.text(body), found)
    return found


def reply(doc, body, found):
    """A reply that is one JSON object."""
    found["input_tokens"] = doc.whole(body.get("input_tokens"))
    add_usage(doc, body.get("usage"), found)
    found["stop_reason"] = doc.text(body.get("stop_reason"))
    types = [doc.text(doc.members(block).get("type")) for block in doc.elements(body.get("content"))]
    found["tool_calls"] = sum(name in TOOL_CALLS for name in types)


def add_usage(doc, usage, found):
    members = doc.members(usage)
    for field, name in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_creation_tokens", "cache_creation_input_tokens"),
        ("cache_read_tokens", "cache_read_input_tokens"),
    ):
        number = doc.whole(members.get(name))
        if number is not None:
            found[field] = number


def stream(text, found):
    """A reply that is the text of a stream of server-sent events."""
    for doc, event in events(text):
        name = doc.text(event.get("type"))
        found["tool_calls"] = found["tool_calls"] or 0
        if name == "message_start":
            add_usage(doc, doc.members(event.get("message")).get("usage"), found)
        elif name == "message_delta":
            add_usage(doc, event.get("usage"), found)
            stop = doc.text(doc.members(event.get("delta")).get("stop_reason"))
            found["stop_reason"] = stop if stop is not None else found["stop_reason"]
        elif name == "content_block_start":
            block = doc.members(event.get("content_block"))
            found["tool_calls"] += doc.text(block.get("type")) in TOOL_CALLS


def events(text):
    """The events of a stream whose data is a JSON object with a string `type`."""
    data = []
    for line in re.split("\r\n|\r|\n", text) + [""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            try:
                doc = read_document("\n".join(data).encode("utf-8"))
            except Skipped:
                doc = None
            data = []
            if doc and doc.text(doc.members(doc.root).get("type")) is not None:
                yield doc, doc.members(doc.root)


# --- a folder ---


def json_files(folder):
    """All regular `*.json` files below a folder; links to files count, links to folders do not."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(place, name)
            if name.endswith(".json") and os.path.isfile(path):
                yield path


def time_order(record):
    time = record["timestamp"]
    return (time is None, time or "", record["path"].split(os.sep))


def milliseconds(earlier, later):
    start, end = (datetime.datetime.fromisoformat(time.replace("Z", "+00:00")) for time in (earlier, later))
    return round((end - start) / datetime.timedelta(milliseconds=1))


def pair(records):
    """Join the two files of a request in claude mode: first in, first out, within a folder."""
    waiting, paired = {}, []
    for record in sorted(records, key=time_order):
        key = (os.path.dirname(record["path"]), record["body"])
        pairs = record["mode"] == "claude" and record["timestamp"] is not None
        if pairs and record["response"] is None:
            waiting.setdefault(key, []).append(record)
        elif pairs and waiting.get(key):
            first = waiting[key].pop(0)
            paired.append(first["path"])
            record["paths"] = [first["path"], record["path"]]
            record["total_ms"] = milliseconds(first["timestamp"], record["timestamp"])
            record["timestamp"] = first["timestamp"]
    return sorted((record for record in records if record["path"] not in paired), key=time_order)


def compute(folders):
    """(records, {path: reason}) of all files below the folders."""
    records, skipped = [], {}
    for path in dict.fromkeys(path for folder in folders for path in json_files(folder)):
        try:
            records.append(read_trace(path))
        except Skipped as reason:
            skipped[path] = str(reason)
    records = pair(records)
    for record in records:
        del record["body"]
    return records, skipped


# --- comparing ---


def run_traces(binary, folders):
    """What `traces list` prints: the requests of NDJSON, and the skipped files of JSON."""
    with tempfile.TemporaryDirectory() as root:
        command = [binary, "list", "--all", "--no-progress", "--root", root, *folders]
        outputs = []
        for form in ("ndjson", "json"):
            done = subprocess.run([*command, "--format", form], stdout=subprocess.PIPE, check=False)
            if done.returncode not in (0, 2, 3):
                sys.exit(f"{binary} ended with exit code {done.returncode}")
            outputs.append(done.stdout.decode("utf-8"))
    requests = [json.loads(line) for line in outputs[0].split("\n") if line]
    skipped = json.loads(outputs[1])["skipped"] if outputs[1] else []
    return requests, {entry["path"]: entry["reason"] for entry in skipped}


class Comparison:
    """Counts comparisons and prints each difference."""

    def __init__(self):
        self.fields = 0
        self.differences = 0

    def field(self, place, name, ours, theirs):
        self.fields += 1
        if ours != theirs or type(ours) is not type(theirs):
            self.differences += 1
            print("\t".join((place, name, json.dumps(ours), json.dumps(theirs))))

    def record(self, ours, theirs):
        for name, value in ours.items():
            if name in ("path", "paths"):
                found = theirs.get(name)
                clean = sorted(map(os.path.realpath, [found] if name == "path" else found))
                wanted = sorted(map(os.path.realpath, [value] if name == "path" else value))
                self.field(ours["path"], name, wanted, clean)
            elif name == "total_ms":
                if ours["mode"] == "claude":
                    self.field(ours["path"], "timing.total_ms", value, (theirs.get("timing") or {}).get(name))
            elif name == "response" and value and theirs.get(name):
                for part, number in value.items():
                    self.field(ours["path"], f"response.{part}", number, theirs[name].get(part, "missing"))
            else:
                self.field(ours["path"], name, value, theirs.get(name, "missing"))

    def keyed(self, name, ours, theirs):
        """Compare two mappings; what only one of them holds differs from null."""
        for key in list(ours) + [key for key in theirs if key not in ours]:
            if name == "record" and key in ours and key in theirs:
                self.record(ours[key], theirs[key])
            elif name == "record":
                self.field(key, "present", key in ours, key in theirs)
            else:
                self.field(key, name, ours.get(key), theirs.get(key))


def compare(records, skipped, binary, folders):
    requests, reasons = run_traces(binary, folders)
    result = Comparison()
    by_path = [{os.path.realpath(each["path"]): each for each in group} for group in (records, requests)]
    result.keyed("record", *by_path)
    result.keyed("skipped", *({os.path.realpath(path): why for path, why in each.items()} for each in (skipped, reasons)))
    both = set(by_path[0]) & set(by_path[1])
    for ours, theirs in zip(*([path for path in group if path in both] for group in by_path)):
        if ours != theirs:
            result.field("first place where the order differs", "path", ours, theirs)
            break
    return len(requests), result


def check_expected(skipped, folders, result):
    """A folder may say itself what is wrong with its files, in `EXPECTED.tsv`."""
    for folder in folders:
        table = os.path.join(folder, "EXPECTED.tsv")
        if os.path.exists(table):
            with open(table, encoding="utf-8") as file:
                rows = dict(line.rstrip("\n").split("\t") for line in file)
            found = {os.path.relpath(path, folder): why for path, why in skipped.items()}
            found = {path: why for path, why in found.items() if not path.startswith("..")}
            result.keyed("expected", rows, found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", metavar="BINARY", help="the program to check")
    parser.add_argument("--dump", action="store_true", help="print the computed records as NDJSON")
    parser.add_argument("folders", metavar="FOLDER", nargs="+")
    options = parser.parse_args()
    if not options.dump and not options.traces:
        parser.error("give --traces BINARY, or --dump")
    records, skipped = compute(options.folders)
    if options.dump:
        for record in records:
            print(json.dumps(record))
        for path, reason in skipped.items():
            print(json.dumps({"path": path, "skipped": reason}))
        return 0
    count, result = compare(records, skipped, options.traces, options.folders)
    check_expected(skipped, options.folders, result)
    print(f"{count} requests, {result.fields} fields compared, {result.differences} differences")
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
