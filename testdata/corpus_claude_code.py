"""What Claude Code records of itself: bodies, events, spans, the index and transcripts, below
`claude-code/`. Two models do the same task, one after the other; around it stands what goes wrong.

Versions since 2.1.332 name the body in the event of the answer; 2.1.197 does not.
"""

import hashlib
import uuid

import corpus_requests as make
import corpus_text as words

HOME = "/home/heron/recordings"
FAST, SLOW = "heron-4b", "heron-32b"
BYTES_PER_TOKEN = 3.8
BETAS = ["claude-code-20250219", "interleaved-thinking-2025-05-14"]
NEW, OLD = "2.1.332", "2.1.197"


def identifier(*parts):
    """A UUID that is the same every time."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode("utf-8")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def value(of):
    if isinstance(of, bool):
        return {"boolValue": of}
    if isinstance(of, int):
        return {"intValue": of}
    if isinstance(of, float):
        return {"doubleValue": of}
    if isinstance(of, list):
        return {"arrayValue": {"values": [value(each) for each in of]}}
    return {"stringValue": of}


def attributes(of):
    return [{"key": key, "value": value(each)} for key, each in of.items() if each is not None]


def nanos(milliseconds):
    return f"{round(milliseconds * 1_000_000)}"


class Process:
    """One process of Claude Code with its own exports."""

    def __init__(self, name, started, version=NEW, session=None, sources=("sdk",)):
        self.name, self.version = name, version
        self.session = session or identifier(name, "session")
        self.now = make.moment(started)
        self.events, self.spans, self.files, self.index, self.transcript = [], [], {}, [], []
        self.sequence = 0
        self.count = 0
        self.event("user_prompt", self.now, prompt_length="11")
        self.turn_begins = self.now - 20

    def resource(self):
        return {"attributes": attributes({"service.name": "claude-code", "service.version": self.version}), "droppedAttributesCount": 0}

    def event(self, name, at, **more):
        fields = {
            "session.id": self.session,
            "terminal.type": "xterm",
            "event.name": name,
            "event.timestamp": make.iso(at),
            "event.sequence": self.sequence,
        }
        self.sequence += 1
        fields.update({key.replace("__", "."): each for key, each in more.items()})
        self.events.append({
            "timeUnixNano": nanos(at),
            "observedTimeUnixNano": nanos(at),
            "body": {"stringValue": f"claude_code.{name}"},
            "attributes": attributes(fields),
        })

    def body(self, messages, model, source, tools=None, stream=True, thinking=False):
        """A recorded body with its id; `betas` was not sent."""
        body = make.turn(words.conversation()[:messages], make.user_id("json", "fast"), tools=tools)
        body["metadata"] = {"user_id": make.compact({"device_id": make.HASH, "account_uuid": "", "session_id": self.session})}
        if thinking:
            body["messages"].insert(1, {"role": "assistant", "content": [{"type": "thinking", "thinking": "<REDACTED>", "signature": ""}]})
        if source == "generate_session_title":
            body["system"], body["tools"] = [make.block(words.TITLE, cached=False)], []
        prompt = {name: body[name] for name in ("messages", "system", "tools")}
        body = {"model": model, **prompt, "betas": BETAS, "metadata": body["metadata"], "max_tokens": 32000, "stream": stream}
        self.count += 1
        return identifier(self.name, self.count), body, round(len(make.compact(prompt)) / BYTES_PER_TOKEN)

    def begin(self, body, at, model, source):
        """An attempt: its body, and the event of its start."""
        name, content, _ = body
        self.files[f"bodies/{name}.request.json"] = make.compact(content)
        known = {"request_body_id": name} if self.version == NEW else {}
        where = f"{HOME}/{self.name}/bodies/{name}.request.json"
        length = str(len(make.compact(content)))
        self.event("api_request_body", at, body_ref=where, body_length=length, model=model, query_source=source, **known)

    def ask(self, messages, model, read_ms, write_ms, cached=0, output=24, source="sdk", tools=None, wait=700, failed=(), refused=False, thinking=False, early_start=False):
        """A request that is answered in the end; `failed` are the pauses after attempts that are not."""
        self.now += wait
        began, attempts = self.now, []
        body = self.body(messages, model, source, tools=tools, stream=not refused, thinking=thinking)
        for pause in failed:
            before = self.body(messages, model, source, tools=tools)
            self.begin(before, self.now, model, source)
            attempts.append(self.now)
            self.now += pause
        start = self.now
        self.begin(body, start, model, source)
        attempts.append(start)
        name, _, tokens = body
        ttft = round((tokens - cached) * read_ms) + 31
        end = start + ttft + round((output - 1) * write_ms)
        duration = end - (began if refused else start) + 3
        start_ms = 0 if refused else (14 if early_start else ttft - 1)
        usage = {"input_tokens": tokens - cached, "output_tokens": output, "cache_read_tokens": cached, "cache_creation_tokens": 0}
        of_new = {"ttft_ms": start_ms} if self.version == NEW else {}
        self.event("api_request", end + 4, model=model, **usage, cost_usd=0.0125, duration_ms=duration, **of_new, query_source=source)
        answer = identifier(self.name, name, "answer")
        message = f"msg_{answer[:8]}"
        of_new = {"request_body_id": name, "message__id": message} if self.version == NEW else {}
        self.event("api_response_body", end + 5, body_ref=f"{HOME}/{self.name}/bodies/{answer}.response.json", body_length="700", model=model, query_source=source, **of_new)
        wire = {"input_tokens": tokens - cached, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached, "output_tokens": output}
        reply = {
            "id": message,
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": " ".join(words.GUIDE.split()[:output])}],
            "model": model,
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": wire,
        }
        self.files[f"bodies/{answer}.response.json"] = make.compact(reply)
        first = {"first_content_ms": ttft} if self.version == NEW and not refused else {}
        self.span("llm_request", began - 6, end + 4, attempts, model=model, duration_ms=end - began + 10, **usage, success=True, attempt=len(attempts), ttft_ms=start_ms, **first, stop_reason="end_turn")
        if self.version == NEW:
            entry = {"timestamp": make.iso(end + 5), "session_id": self.session, "query_source": source, "model": model, "message_id": message}
            self.index.append({**entry, "request_file": f"{name}.request.json", "response_file": f"{answer}.response.json"})
        if source == "sdk":
            line = {"parentUuid": None, "isSidechain": False, "type": "assistant", "timestamp": make.iso(end + 3), "sessionId": self.session, "version": self.version}
            self.transcript.append({**line, "message": reply})
        self.now = end + 5
        return tokens + output - 1

    def give_up(self, messages, model, after_ms, wait=700):
        """A request that the user interrupts."""
        self.now += wait
        self.begin(self.body(messages, model, "sdk"), self.now, model, "sdk")
        self.now += after_ms

    def refuse(self, messages, model, error, wait=700):
        """A request that the server refuses."""
        self.now += wait
        self.begin(self.body(messages, model, "sdk"), self.now, model, "sdk")
        self.now += 21
        self.event("api_error", self.now, model=model, error=error, status_code=400, duration_ms=23, attempt=1, query_source="sdk")
        self.span("llm_request", self.now - 27, self.now + 1, [self.now - 21], model=model, duration_ms=27, success=False, status_code=400, error=error, attempt=1)

    def span(self, name, start, end, attempts=(), **more):
        fields = {"session.id": self.session, "span.type": name, **more}
        events = [{"name": "gen_ai.request.attempt", "timeUnixNano": nanos(at + 0.25), "attributes": attributes({"attempt": n + 1})} for n, at in enumerate(attempts)]
        self.spans.append({
            "traceId": identifier(self.name, start, "trace").replace("-", ""),
            "spanId": identifier(self.name, start, name).replace("-", "")[:16],
            "name": f"claude_code.{name}",
            "kind": 1,
            "startTimeUnixNano": nanos(start),
            "endTimeUnixNano": nanos(end + 0.5),
            "attributes": attributes(fields),
            "events": events,
        })

    def end_turn(self):
        """What the user asked for is done, or interrupted."""
        self.span("interaction", self.turn_begins, self.now + 6)
        self.turn_begins = self.now + 400

    def export(self):
        """Lines of logs.jsonl and traces.jsonl, as a receiver gets them."""
        scope = {"name": "com.anthropic.claude_code.events", "version": self.version}
        for at in range(0, len(self.events), 5):
            records = [{"scope": scope, "logRecords": self.events[at : at + 5]}]
            yield "logs", make.compact({"resourceLogs": [{"resource": self.resource(), "scopeLogs": records}]}) + "\n"
        spans = [{"scope": {"name": "com.anthropic.claude_code.tracing"}, "spans": self.spans}]
        yield "traces", make.compact({"resourceSpans": [{"resource": self.resource(), "scopeSpans": spans}]}) + "\n"


def two_models():
    """The same three turns with a fast and a slow model; the second one is tried again once."""
    fast = Process("two-models-fast", "2026-01-05T09:00:00.100Z")
    known = 0
    for messages in (1, 3, 5):
        known = fast.ask(messages, FAST, read_ms=0.4, write_ms=11, cached=known)
    fast.end_turn()
    slow = Process("two-models-slow", "2026-01-05T09:20:00.100Z")
    known = 0
    for messages in (1, 3, 5):
        known = slow.ask(messages, SLOW, read_ms=2.6, write_ms=48, cached=known, failed=(612,) if messages == 1 else ())
    slow.end_turn()
    return [fast, slow]


def troubles():
    """Titles, a refused stream, a refused prompt, hidden thinking, an early `message_start`, an interrupted answer."""
    process = Process("troubles", "2026-01-05T10:00:00.100Z", sources=("sdk", "generate_session_title"))
    process.ask(1, FAST, 0.4, 11, source="generate_session_title", output=9)
    known = process.ask(1, FAST, 0.4, 11, refused=True, failed=(11,))
    process.refuse(3, FAST, "the request exceeds the available context size")
    process.ask(3, FAST, 0.4, 11, cached=known, thinking=True)
    process.ask(5, FAST, 0.4, 11, early_start=True)
    process.give_up(7, FAST, 2100)
    process.end_turn()
    return [process]


def older():
    """A version that names no body in the event of the answer, and has no index."""
    process = Process("older", "2026-01-05T11:00:00.100Z", version=OLD)
    known = 0
    for messages in (1, 3):
        known = process.ask(messages, FAST, 0.4, 11, cached=known)
    process.end_turn()
    return [process]


def all_files():
    """(path below `claude-code/`, text) of every file."""
    for name, processes in (("two-models", two_models()), ("troubles", troubles()), ("older", older())):
        exported = {"logs": "", "traces": ""}
        index = ""
        for process in processes:
            for path, text in process.files.items():
                yield f"{name}/{path}", text
            for kind, line in process.export():
                exported[kind] += line
            index += "".join(make.compact(entry) + "\n" for entry in process.index)
            transcript = [{"type": "summary", "summary": "A task", "leafUuid": identifier(process.name, "leaf")}, *process.transcript]
            yield f"{name}/transcripts/{process.session}.jsonl", "".join(make.compact(line) + "\n" for line in transcript)
        for kind, text in exported.items():
            yield f"{name}/{kind}.jsonl", text
        if index:
            yield f"{name}/bodies/index.jsonl", index
