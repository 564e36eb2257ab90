"""Texts in the shapes that agents send, in words of our own: tool definitions,
message blocks that quote code, and the dense output of programs."""

import base64
import json

# Two vocabularies, so that the words of held-out definitions are new.
WORDS = {
    True: {
        "verbs": "read write list search replace rename open close fetch format compile deploy".split(),
        "nouns": "file folder pattern symbol branch commit issue comment window page notebook cell".split(),
        "fields": ["path", "content", "start_line", "lineCount", "pattern", "maxResults", "include_hidden",
                   "timeout_ms", "description", "case_sensitive", "encoding", "target_branch"],
        "sentences": [
            "The absolute path of the {noun}; a relative one is refused.",
            "How many entries to return at most. Larger answers are cut and marked as such.",
            "Use this tool whenever the user asks to {verb} a {noun}, and never guess its content.",
            "Set this only after the {noun} was checked; the default suits nearly every call.",
            "A regular expression that the whole line must match, for example `fn\\s+\\w+`.",
            "- Prefer one call with several {noun}s to many calls.\n- Errors name the {noun} and the reason.",
            "If the {noun} does not exist, the result says so and nothing is changed.",
            "IMPORTANT: do not {verb} anything that is outside of the working directory.",
        ],
    },
    False: {
        "verbs": "query insert delete update schedule cancel translate resize upload validate merge notify".split(),
        "nouns": "table record invoice calendar message channel image dataset pipeline ticket webhook account".split(),
        "fields": ["tableName", "where_clause", "limit", "recipients", "dueDate", "priority", "dry_run",
                   "format", "callbackUrl", "retry_count", "labels", "time_zone"],
        "sentences": [
            "Identifier of the {noun}, as another tool returned it.",
            "Waits until the {noun} is ready; gives up after two minutes with a clear explanation.",
            "When you {verb} a {noun}, mention the outcome to the user in a single short sentence.",
            "One of the values below. Anything else is rejected before the request leaves this machine.",
            "ISO 8601 timestamp such as `2025-03-01T09:30:00Z`, interpreted in the given zone.",
            "1. Look the {noun} up.\n2. Show what would change.\n3. Only then {verb} it.",
            "Returns a compact summary unless `verbose` is true, in which case every column is included.",
            "NEVER {verb} more than fifty {noun}s at once without asking for permission first.",
        ],
    },
}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def tool_definitions(rng, fit, count):
    words = WORDS[fit]

    def sentence():
        return rng.choice(words["sentences"]).format(verb=rng.choice(words["verbs"]), noun=rng.choice(words["nouns"]))

    def text(low, high):
        return rng.choice([" ", "\n", "\n\n"]).join(sentence() for _ in range(rng.randint(low, high)))

    def schema(depth):
        kind = rng.choice(["string", "string", "number", "boolean", "array", "object" if depth else "integer"])
        value = {"type": kind}
        if rng.random() < 0.8:
            value = {"description": text(1, 2), "type": kind} if rng.random() < 0.5 else value | {"description": text(1, 2)}
        if kind == "array":
            value["items"] = schema(depth - 1) if depth else {"type": "string"}
        if kind == "object":
            value |= members(depth - 1)
        if kind == "string" and rng.random() < 0.25:
            value["enum"] = rng.sample(words["verbs"], 3)
        if kind == "number" and rng.random() < 0.4:
            value |= {"minimum": 0, "maximum": rng.choice([10, 100, 5000]), "default": rng.randint(1, 10)}
        return value

    def members(depth):
        names = rng.sample(words["fields"], rng.randint(1, 6))
        return {"type": "object", "properties": {name: schema(depth) for name in names},
                "required": names[:rng.randint(0, len(names))], "additionalProperties": False}

    def tool():
        verb, noun = rng.choice(words["verbs"]), rng.choice(words["nouns"])
        name = rng.choice([f"{verb.title()}{noun.title()}", f"{verb}_{noun}", f"mcp__{noun}s__{verb}_{noun}"])
        return {"name": name, "description": text(1, 8),
                "input_schema": members(2) | {"$schema": "http://json-schema.org/draft-07/schema#"}}

    return [compact(tool()) for _ in range(count)]


def identifier(rng, length):
    return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789", k=length))


def chats(rng, classes, count):
    """Message blocks as compact JSON that quote this split's own pieces."""
    def quote():
        return rng.choice(classes[rng.choice(["code", "code", "prose", "CJK"])])[:rng.randint(200, 1600)]

    def numbered():
        first = rng.randint(1, 900)
        return "\n".join(f"{first + k:>6}→{line}" for k, line in enumerate(quote().split("\n")))

    def block():
        call = "toolu_" + identifier(rng, 24)
        path = "/home/user/project/src/" + rng.choice(["main.rs", "lib/store.ts", "app/models.py", "README.md"])
        return rng.choice([
            lambda: {"type": "tool_use", "id": call, "name": "Edit",
                     "input": {"file_path": path, "old_string": quote()[:400], "new_string": quote()[:500]}},
            lambda: {"type": "tool_use", "id": call, "name": "Bash",
                     "input": {"command": f"cd {path} && git log --oneline -{rng.randint(2, 40)} | head", "timeout": 60000}},
            lambda: {"tool_use_id": call, "type": "tool_result", "content": numbered()},
            lambda: {"tool_use_id": call, "type": "tool_result", "content": [{"type": "text", "text": quote()}]},
            lambda: {"type": "text", "text": quote()},
            lambda: {"role": "user", "content": quote()},
        ])()

    return [compact([block() for _ in range(rng.randint(1, 4))]) for _ in range(count)]


def logs(rng, fit, count):
    """Hashes, identifiers, base64, listings, and time-stamped lines."""
    nouns = WORDS[fit]["nouns"]

    def hexadecimal(length):
        return "%0*x" % (length, rng.getrandbits(4 * length))

    def stamp():
        return "2025-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
            rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59),
            rng.randint(0, 999))

    lines = [
        lambda: f"{hexadecimal(7)} Fix the {rng.choice(nouns)} of {rng.choice(nouns)}s",
        lambda: f"{hexadecimal(64)}  {rng.choice(nouns)}-{rng.randint(0, 9)}.{rng.randint(0, 99)}.tar.gz",
        lambda: base64.b64encode(rng.randbytes(rng.randint(20, 90))).decode(),
        lambda: "-".join(hexadecimal(n) for n in (8, 4, 4, 4, 12)),
        lambda: f"[{stamp()}] INFO {rng.choice(nouns)} {rng.randint(1, 99999)} took {rng.random() * 1000:.2f} ms",
        lambda: f"-rw-r--r-- 1 user user {rng.randint(10, 9999999):>8} Nov {rng.randint(1, 30):>2} 13:{rng.randint(10, 59)} "
                f"{rng.choice(nouns)}.json",
        lambda: ",".join(str(round(rng.random() * 10 ** rng.randint(0, 5), rng.randint(0, 4))) for _ in range(8)),
    ]

    def text():
        kinds = rng.sample(lines, rng.randint(1, 3))
        found = ""
        while len(found) < 1800:
            found += rng.choice(kinds)() + "\n"
        return found

    return [text() for _ in range(count)]
