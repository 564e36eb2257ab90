"""Files that are no traces, one fault each, and traces that are odd but must be accepted.

`damaged()` gives (name, reason, bytes), `odd()` gives (name, bytes).
"""

import corpus_requests as make

TIME = "2025-11-16T05:00:00.000Z"
BODY = {
    "model": "claude-sonnet-4-20250514",
    "max_tokens": 1024,
    "system": "Count birds. 鳥 🐦",
    "tools": [{"name": "count", "description": "Counts.", "input_schema": {"type": "object", "properties": {}}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "How many?"}]}],
    "stream": True,
}


def whole(body=None, **members):
    """The text of a small trace, with other members where given."""
    request = {"method": "POST", "url": "/v1/messages?beta=true", "headers": {}, "body": BODY if body is None else body}
    return make.stringify({"timestamp": TIME, "mode": "lmstudio", "request": request, **members})


def damaged():
    text = whole()
    data = text.encode("utf-8")
    yield "empty-nothing", "empty", b""
    yield "empty-white-space", "empty", b" \r\n\t\n"
    yield "empty-byte-order-mark", "empty", b"\xef\xbb\xbf"
    yield "invalid-json-nuls", "invalid_json", bytes(512)
    yield from cut_files(text, data)
    yield from invalid_files(text, data)
    for name, found in (
        ("bad-byte", data.replace(b"How many?", b"How \xff many?")),
        ("overlong", data.replace(b"How many?", b"How \xc0\xaf many?")),
        ("surrogate", data.replace(b"How many?", b"How \xed\xa0\xbd many?")),
        ("cut-in-the-middle", data.replace("🐦".encode("utf-8"), b"\xf0\x9f\x90")),
        ("utf-16", text.encode("utf-16")),
    ):
        yield f"invalid-utf8-{name}", "invalid_utf8", found
    for name, found in other_json():
        yield f"not-a-trace-{name}", "not_a_trace", found.encode("utf-8")


def cut_files(text, data):
    def until(marker, kept):
        return data[: data.index(marker.encode("utf-8")) + kept]

    escaped = whole({**BODY, "system": "a\u0007b"}).encode("utf-8")
    for name, found in (
        ("in-a-string", until("Count birds.", 5)),
        ("in-a-number", whole({"max_tokens": 1.5}).encode("utf-8").partition(b"5\n")[0]),
        ("in-a-literal", until("true", 2)),
        ("in-an-escape", escaped[: escaped.index(b"\\u0007") + 4]),
        ("in-a-character", until("🐦", 3)),
        ("after-a-comma", until('"lmstudio",', 11)),
        ("before-the-last-brace", data[:-1].rstrip()),
    ):
        yield f"truncated-{name}", "truncated", found


def invalid_files(text, data):
    for name, old, new in (
        ("trailing-comma", '"stream": true', '"stream": true,'),
        ("mismatched-bracket", '"headers": {}', '"headers": {]'),
        ("bad-escape", "How many?", "How \\many?"),
        ("bad-unicode-escape", "How many?", "How \\u12g4?"),
        ("nan", "1024", "NaN"),
        ("leading-zero", "1024", "01024"),
        ("number-without-digits", "1024", "1."),
        ("raw-control-character", "How many?", "How\nmany?"),
        ("single-quotes", '"stream"', "'stream'"),
        ("missing-colon", '"stream": true', '"stream" true'),
    ):
        assert text.count(old) == 1, name
        yield f"invalid-json-{name}", "invalid_json", text.replace(old, new).encode("utf-8")
    yield "invalid-json-trailing-garbage", "invalid_json", data + b"}"
    yield "invalid-json-two-values", "invalid_json", data + b"\n" + data
    yield "invalid-json-nuls-at-the-end", "invalid_json", data[:-40] + bytes(40)


def other_json():
    yield "array", "[" + whole() + "]"
    yield "string", '"a trace"'
    yield "no-request", make.stringify({"timestamp": TIME, "mode": "lmstudio"})
    yield "last-request-null", whole()[:-2] + ',\n  "request": null\n}'
    yield "no-body", whole(request={"method": "POST", "url": "/v1/messages"})
    yield "body-string", whole("{\"model\":\"m\"}")
    yield "body-array", whole([])
    yield "body-empty", whole({})
    yield "body-index", whole({"index": 0})
    yield "body-model-null", whole({"model": None})
    yield "body-other", whole({"foo": 1})


# --- accepted ---


def odd():
    """Bytes of accepted oddities by name."""
    files = {}
    plain = whole()
    files["byte-order-mark"] = b"\xef\xbb\xbf" + plain.encode("utf-8")
    files["carriage-returns"] = plain.replace("\n", "\r\n").encode("utf-8")
    files["tabs"] = plain.replace("  ", "\t").encode("utf-8")
    files["minified"] = make.compact({"request": {"body": BODY}}).encode("utf-8")
    files["lone-surrogates"] = surrogates().encode("utf-8")
    files["escaped-text"] = plain.replace("How many?", "\\u0048ow\\/\\ud83d\\udc26\\u0000\\b\\f\\r\\t\u007f\u2028").encode("utf-8")
    files["escaped-keys"] = escape_keys(plain).encode("utf-8")
    files["deep"] = deep().encode("utf-8")
    for name, text in {**duplicates(plain), **values(plain), **shapes()}.items():
        files[name] = text.encode("utf-8")
    return files.items()


def surrogates():
    parts = ["\ud83d high", "low \udc26", "\udc26\ud83d swapped", "\ud83d\ud83d\udc26 one and a pair", "\ud83d鳥"]
    return whole({**BODY, "system": [{"type": "text", "text": part} for part in parts]})


def escape_keys(text):
    for key, escaped in (("role", "r\\u006fle"), ("system", "\\u0073ystem"), ("body", "b\\u006Fdy"), ("tools", "\\u0074ools")):
        text = text.replace(f'"{key}":', f'"{escaped}":')
    return text


def deep(depth=5000):
    """A tool schema that nests ever deeper."""
    schema = '{"items":[' * (depth // 2) + "0" + "]}" * (depth // 2)
    return make.compact({"request": {"body": BODY}}).replace('"properties":{}', f'"properties":{schema}')


def duplicates(text):
    """The same name twice in one object: the last one counts."""
    longer = '"tools": [],\n      "tools": [{"name": "a"}, {"name": "b"}],\n      "tools": '
    cases = {
        "time-and-mode": {
            '"timestamp": ': '"timestamp": "2020-01-01T00:00:00.000Z",\n  "timestamp": ',
            '"mode": ': '"mode": "claude",\n  "mode": ',
        },
        "request": {'"request": ': '"request": {"body": {"model": "first"}},\n  "request": '},
        "body": {'"body": ': '"body": {"model": "first", "messages": [1, 2]},\n    "body": '},
        "prompt": {
            '"model": ': '"model": null,\n      "model": ',
            '"system": ': '"system": [{"text": "first"}],\n      "system": ',
            '"tools": ': longer,
            '"messages": ': '"messages": [1, 2, 3],\n      "messages": ',
        },
        "text-and-name": {
            '"Count birds. 鳥 🐦"': '[{"text": "first", "type": "text", "text": "second"}, {"text": "gone", "text": 2}]',
            '"name": ': '"name": "first",\n          "name": ',
        },
    }
    files = {}
    for name, changes in cases.items():
        files[f"twice-{name}"] = text
        for old, new in changes.items():
            files[f"twice-{name}"] = files[f"twice-{name}"].replace(old, new, 1)
    return files


def values(text):
    """Values of members in unusual writing."""
    huge = '"stream": true, "temperature": 1e999, "seed": -' + "1234567890" * 4
    files = {"huge-numbers": text.replace('"stream": true', huge).replace("1024", "-1")}
    for name, number in (
        ("fraction", "1.5"),
        ("exponent", "1e3"),
        ("largest", "18446744073709551615"),
        ("too-large", "18446744073709551616"),
    ):
        files[f"max-tokens-{name}"] = text.replace("1024", number)
    user = '"metadata": {"user_id": {"session_id": 5}}, "stream": "yes"'
    files["other-types"] = text.replace('"stream": true', user).replace("1024", '"512"').replace('"/v1/messages?beta=true"', "7")
    files["timestamp-bad"] = text.replace(TIME, "yesterday").replace('"stream": true', '"metadata": {"user_id": "{\\"session_id\\":"}')
    files["timestamp-offset"] = text.replace(TIME, "2025-11-16T06:30:00.5+01:30")
    files["url-absolute"] = text.replace("/v1/messages?beta=true", "http://localhost:1234/v1/messages/count_tokens?beta=true#top")
    files["2025-11-16T05-00-00-777Z"] = text.replace(f'  "timestamp": "{TIME}",\n', "")
    return files


def shapes():
    """Members of other types than usual."""
    files = {}
    files["prompt-scalars"] = whole({"model": "m", "system": 5, "tools": None, "messages": "words"})
    files["prompt-objects"] = whole({"model": "m", "system": {"text": "no"}, "tools": {"name": "no"}, "messages": {}})
    system = ["bare", None, 3, {"type": "text"}, {"type": "text", "text": None}, {"text": ["no"]}, {"type": "image", "text": "yes"}]
    contents = [5, "bare", None, [], {"role": "user"}, {"role": 3, "content": 5}, {"content": {"type": "text"}}, {"content": None}]
    tools = ["bare", None, {}, {"name": None}, {"description": "nameless"}, [], {"name": "count"}]
    files["elements"] = whole({"model": "m", "system": system, "messages": contents, "tools": tools})
    files["unknown-members"] = whole({**BODY, "\u0007new": [[]]}, version=3, mode="yet unknown")
    for name, value in (
        ("null", None),
        ("number", 5),
        ("status-string", {"statusCode": "x"}),
        ("body-array", {"statusCode": 200, "body": [1]}),
    ):
        files[f"response-{name}"] = whole(response=value)
    return files
