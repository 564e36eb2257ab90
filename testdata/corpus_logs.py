"""What one process of the proxy writes beside the traces: debug log, request log, stderr."""

import hashlib

from corpus_requests import compact, iso, stringify

PROVIDER = "lmstudio"
DOUBLE, SINGLE = "═" * 60, "─" * 60
STOP_REASONS = {"stop": "end_turn", "tool-calls": "tool_use"}


class Call:
    """One request and how it went. All times are milliseconds since 1970."""

    def __init__(
        self, body, at, proxy, gap, ttft, step, blocks, prompt_tokens, outcome="completed", url="/v1/messages?beta=true",
        cached=0, pauses=None, given_up_after=None, said_before=(),
    ):
        self.body = body
        self.at = at  # the line in the request log
        self.start = at + proxy
        self.traced = self.start + gap
        self.piping = self.traced + 2  # the stream to the client begins, keepalives are counted from here
        self.ttft = ttft
        self.step = step  # between two pieces of the answer
        self.blocks = blocks  # (kind, pieces) with kind text, reasoning or the name of a tool
        self.prompt_tokens = prompt_tokens
        self.outcome = outcome
        self.url = url
        self.cached = cached  # tokens of the prompt that the backend had
        self.pauses = pauses or {}  # {number of the piece: milliseconds of silence before it}
        self.said_before = said_before  # lines of the log before the request is sent on
        self.streamed = body.get("stream", False)
        pieces = sum(len(each) for _, each in blocks)
        ends = {"timed_out": 600_000, "failed": ttft, "given_up": given_up_after}
        answered = ttft + step * (pieces + 2 * len(blocks)) + sum(self.pauses.values()) + 4
        self.end = self.start + ends.get(outcome, answered)

    @property
    def output_tokens(self):
        return sum(len(pieces) for _, pieces in self.blocks)

    @property
    def system_size(self):
        """`String(system).length`: an array of n blocks gives 16n − 1."""
        system = self.body.get("system") or ""
        return len(system) if isinstance(system, str) else 16 * len(system) - 1

    def count(self, name):
        return len(self.body.get(name) or [])


class Run:
    """One process: collects its lines by time."""

    def __init__(self, model, level, started, url="http://localhost:1234/v1", detected=True):
        self.model = model
        self.level = level
        self.started = started
        self.url = url
        self.detected = detected
        self.calls = []
        self.lines = []
        self.seen = set()
        self.footer = ""

    @property
    def name(self):
        return f"{PROVIDER}/{self.model}"

    def log_name(self):
        return "debug-session-" + iso(self.started).partition(".")[0].replace(":", "-") + ".log"

    def say(self, level, time, message, data=None):
        """A line of the debug log; levels 1 and 2 cut their data at 500 characters."""
        if self.level < level:
            return
        if data is not None:
            message += " " + (stringify(data) if level == 3 else compact(data)[:500])
        self.lines.append((time, f"[{iso(time)}] [ANYCLAUDE DEBUG] {message}\n"))

    def add(self, call):
        self.calls.append(call)
        log_arrival(self, call)
        log_start(self, call)
        if call.streamed:
            log_stream(self, call)
        else:
            self.say(1, call.end, "[streamText onFinish] Called, stop reason: length")
        return call

    def debug_log(self):
        lines = sorted(self.lines, key=lambda line: line[0])
        return banner(self) + "".join(text for _, text in lines) + self.footer

    def request_log(self):
        """(time, line) for each request."""
        for call in self.calls:
            entry = {"timestamp": iso(call.at), **logged(self, call, messages=True)}
            yield call.at, compact(entry) + "\n"

    def stderr(self, home):
        """What a captured stderr holds: where the log is, and each trace."""
        names = [f"{home}/logs/{self.log_name()}"]
        names += [f"{home}/traces/{PROVIDER}/{trace_name(call)}" for call in sorted(self.calls, key=lambda call: call.traced)]
        return f"[anyclaude] Debug mode (level {self.level}): {names[0]}\n" + "".join(f"[TRACE] Saved to: {name}\n" for name in names[1:])


def trace_name(call):
    return iso(call.traced).replace(":", "-").replace(".", "-") + ".json"


def banner(run):
    began = iso(run.started)
    config = stringify({"backend": PROVIDER, "debugLevel": str(run.level), "configFile": "none"})
    return (
        f"{DOUBLE}\nANYCLAUDE DEBUG SESSION - Level {run.level}\nStarted: {began}\n{DOUBLE}\n\n"
        f"[{began}] [ANYCLAUDE DEBUG] [server-launcher] No config found for backend: {PROVIDER}\n\n"
        f"{SINGLE}\nSESSION CONFIGURATION\n{SINGLE}\nBackend Mode: {PROVIDER}\nModel: {run.model}\n"
        f"Backend URL: {run.url}\nProxy URL: http://localhost:52017\n\nConfiguration:\n{config}\n{SINGLE}\n\n"
    )


def footer(time):
    return f"\n{DOUBLE}\nSession ended: {iso(time)}\n{DOUBLE}\n"


def logged(run, call, messages=False):
    fields = {"systemSize": call.system_size, "toolCount": call.count("tools")}
    if messages:
        fields["messageCount"] = call.count("messages")
    return {**fields, "streaming": call.streamed, "provider": PROVIDER, "model": run.model}


def prompt_hash(call):
    return hashlib.sha256(compact([call.body.get("system"), call.body.get("tools")]).encode("utf-8")).hexdigest()[:8]


def system_text(call):
    system = call.body.get("system") or ""
    return system if isinstance(system, str) else "\n".join(block["text"] for block in system)


def log_arrival(run, call):
    """From the arrival of a request until it is sent on."""
    run.say(2, call.at + 1, "[Request Logging] Logged request", logged(run, call))
    key = prompt_hash(call)
    if key in run.seen:
        run.say(1, call.at + 2, f"[Prompt Cache] HIT - Reusing cached system+tools {key}")
        run.say(2, call.at + 2, f"[Prompt Cache] HIT - Skipping {len(system_text(call))} characters of system prompt")
    else:
        run.say(1, call.at + 2, f"[Prompt Cache] MISS - Caching new system+tools {key}")
    if not run.seen:
        run.say(1, call.at + 3, f"[Backend Query] Querying {run.url} for model info...")
        if run.detected:
            run.say(1, call.at + 21, f"[Backend Query] Detected model: {run.model}")
            run.say(1, call.at + 30, "[Backend Query] LMStudio context length: 131072 tokens")
    run.seen.add(key)
    if run.level == 3:
        log_tools(run, call)


def log_tools(run, call):
    """Level 3: every tool as indented JSON, on lines without a prefix."""
    tools = call.body.get("tools") or []
    if tools:
        run.say(3, call.at + 4, f"[Tools] Claude Code sent {len(tools)} tool(s):")
    for number, tool in enumerate(tools, 1):
        data = {"description": tool.get("description"), "input_schema": tool.get("input_schema")}
        run.say(3, call.at + 4, f"[Tool {number}/{len(tools)}] {tool['name']}", data)
        run.say(3, call.at + 4, f"[Tool Schema] {tool['name']} - No changes needed")


def log_start(run, call):
    start, body = call.start, call.body
    if run.detected:
        run.say(1, start, "[Context] Using LMStudio reported context: 131072 tokens")
    for line in call.said_before:
        run.say(1, start, line)
    run.say(1, start, f"[Request Start] {run.name} at {iso(start)}")
    text = system_text(call)
    details = {
        "system": text[:100] + "..." if text else "none",
        "toolCount": call.count("tools"),
        "messageCount": call.count("messages"),
        "maxTokens": body.get("max_tokens"),
        "temperature": body.get("temperature"),
    }
    run.say(1, start, f"[Request Details] {run.name}", {name: value for name, value in details.items() if value is not None})
    log_overhead(run, call, len(text))
    sent = {"model": run.model, "system": text, "messages": body.get("messages")}
    run.say(2, start, "[Full Request Body to Provider]", sent)
    run.say(1, call.traced + 1, f"[streamText] About to call streamText for {run.name}")


def log_overhead(run, call, system):
    """How much of the prompt is not the user's, as the proxy guesses it: four characters a token."""
    tools = len(compact(call.body.get("tools") or [])) if call.count("tools") else 0
    user = sum(len(compact(message)) for message in call.body.get("messages") or [] if message.get("role") == "user")
    both, tokens = system + tools, -(-system // 4) + -(-tools // 4)
    percent = round(100 * both / (both + user)) if both + user else 0
    overhead = {
        "systemPrompt": f"{system / 1024:.1f}KB (~{-(-system // 4):,} tokens)",
        "tools": f"{tools / 1024:.1f}KB (~{-(-tools // 4):,} tokens, {call.count('tools')} tools)",
        "userMessage": f"{user / 1024:.1f}KB",
        "totalOverhead": f"{both / 1024:.1f}KB (~{tokens:,} tokens)",
        "overheadPercent": f"{percent}%",
        "estimatedProcessingTime": f"~{tokens / 60:.1f}s @ 60 tok/s" if tokens > 1000 else "<1s",
    }
    run.say(1, call.start, f"[Prompt Overhead] {run.name}", overhead)


# --- streams ---


def log_stream(run, call):
    run.say(1, call.piping, f"[Streaming] Starting stream conversion and pipe for {run.name}")
    stream = Stream(run, call)
    stream.part(call.piping + 3, "start", {})
    if call.outcome == "failed":
        log_failure(run, call, stream)
        return
    waits_until = call.end if call.outcome in ("timed_out", "given_up") else call.start + call.ttft
    for number in range(1, (waits_until - call.piping) // 10_000 + 1):
        run.say(2, call.piping + 10_000 * number + number % 3, f"[Keepalive] Sent keepalive #{number} (waiting for LMStudio)")
        stream.keepalives = number
    if waits_until - call.piping > 60_000:
        run.say(1, call.piping + 60_000, "[Stream] Forcing message_stop (60-second timeout)")
    if call.outcome == "timed_out":
        run.say(1, call.end, f"[Timeout] Request to {run.name} exceeded 600000ms")
        run.say(1, call.end + 2, "[Client Disconnect] Connection closed by client")
        return
    if call.outcome == "given_up":
        run.say(1, call.end, "[Client Disconnect] Connection closed by client")
        run.say(2, call.end, "[Cleanup] Cleared keepalive interval on client close")
        return
    stream.answer()
    if call.outcome == "completed":
        stream.finish()


def log_failure(run, call, stream):
    """The backend refused: an error, and no completion."""
    error = {
        "name": "AI_APICallError",
        "url": f"{run.url}/chat/completions",
        "requestBodyValues": {name: call.body[name] for name in ("model", "messages", "tools")},
        "statusCode": 400,
    }
    run.say(1, call.end, f"Error for {run.name}:", error)
    stream.part(call.end, "error", {"error": {"name": "AI_APICallError"}})
    run.say(1, call.end + 1, "[Client Disconnect] Connection closed by client")
    run.say(2, call.end + 1, "[Cleanup] Cleared keepalive interval on client close")


class Stream:
    """The parts that arrive from the backend and the events that go to the client."""

    def __init__(self, run, call):
        self.run = run
        self.call = call
        self.keepalives = 0
        self.pieces = 0
        self.parts = 0
        self.events = 0
        self.units = 0
        self.time = call.start + call.ttft

    def part(self, time, kind, fields):
        """A part as the AI SDK names it. Level 1 shows only the first ten raw ones, without content."""
        self.parts += 1
        self.run.say(1, time, f"[Stream Conversion] Received chunk {self.parts} of type: {kind}")
        full = {"type": kind, "fullChunk": {"type": kind, **fields}}
        if self.run.level >= 2:
            self.run.say(2, time, f"[Stream Conversion] Raw chunk {self.parts}:", full)
        elif self.parts <= 10:
            self.run.say(1, time, f"[Stream Conversion] Raw chunk {self.parts}:", {"type": kind})

    def event(self, value):
        """An event in Anthropic's form; its size is in UTF-16 units."""
        text = f"event: {value['type']}\ndata: {compact(value)}\n\n"
        size = len(text.encode("utf-16-le")) // 2
        self.events += 1
        self.units += size
        say, time = self.run.say, self.time
        chunk = f"[NodeWritable] Chunk #{self.events} of type: {value['type']} ({size} bytes, total: {self.units} bytes)"
        say(2, time, chunk)
        if self.events == 1:
            say(2, time, f"[Timing] First token received at {time - self.call.start}ms")
        say(2, time, f"[Keepalive] Cleared (stream started after {self.keepalives} keepalives)")
        say(2, time, "[Stream Chunk]", value)
        say(2, time, f"[NodeWritable] Written chunk type: {value['type']}, buffer ok: true")

    def answer(self):
        self.part(self.time, "start-step", {"request": {"body": {"model": self.run.model, "messages": []}}, "warnings": []})
        self.run.say(2, self.time, "[Stream Conversion] Skipping duplicate message_start (already sent manually)")
        for index, (kind, pieces) in enumerate(self.call.blocks):
            getattr(self, kind, self.tool)(index, kind, pieces)

    def block(self, index, kind, start, deltas):
        """The parts and events of one block; `deltas` are (fields of the part, delta of the event)."""
        identity = {"id": str(index)}
        self.part(self.time, f"{kind}-start", identity)
        self.event({"type": "content_block_start", "index": index, "content_block": start})
        for fields, delta in deltas:
            self.pieces += 1
            self.time += self.call.step + self.call.pauses.get(self.pieces, 0)
            self.part(self.time, f"{kind}-delta", {**identity, **fields})
            self.event({"type": "content_block_delta", "index": index, "delta": delta})
        self.time += self.call.step
        self.part(self.time, f"{kind}-end", identity)
        self.event({"type": "content_block_stop", "index": index})
        self.time += self.call.step

    def text(self, index, kind, pieces):
        deltas = [({"text": piece}, {"type": "text_delta", "text": piece}) for piece in pieces]
        self.block(index, kind, {"type": "text", "text": ""}, deltas)

    def reasoning(self, index, kind, pieces):
        deltas = [({"text": piece}, {"type": "thinking_delta", "thinking": piece}) for piece in pieces]
        self.block(index, kind, {"type": "thinking", "thinking": ""}, deltas)

    def tool(self, index, name, pieces):
        self.run.say(1, self.time, "[Tool Input Start Debug] Streaming tool detected:", {"id": str(index), "toolName": name})
        deltas = [({"delta": piece}, {"type": "input_json_delta", "partial_json": piece}) for piece in pieces]
        start = {"type": "tool_use", "id": str(index), "name": name, "input": {}}
        self.block(index, "tool-input", start, deltas)
        self.time -= self.call.step
        self.part(self.time, "tool-call", {"toolCallId": str(index), "toolName": name})
        self.time += self.call.step

    def finish(self):
        run, call, say = self.run, self.call, self.run.say
        last = self.time - call.step  # the end of the last block
        self.time = last + 2
        reason = "stop" if call.blocks[-1][0] == "text" else "tool-calls"
        say(1, last + 1, f"[streamText onFinish] Called, stop reason: {reason}")
        usage = {"inputTokens": call.prompt_tokens, "outputTokens": call.output_tokens}
        total = {**usage, "totalTokens": sum(usage.values())}
        self.part(self.time, "finish-step", {"finishReason": reason, "usage": total})
        reported = {"input_tokens": call.prompt_tokens, "output_tokens": call.output_tokens}
        reported |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": call.cached}
        say(2, self.time, "[Cache Metrics] Captured usage from message_delta:", reported)
        delta = {"stop_reason": STOP_REASONS[reason], "stop_sequence": None}
        self.event({"type": "message_delta", "delta": delta, "usage": reported})
        self.part(self.time, "finish", {"finishReason": reason, "totalUsage": total})
        self.event({"type": "message_stop"})
        say(1, self.time, f"[Stream Conversion] Stream complete. Total chunks: {self.parts}")
        say(2, self.time, "[Stream] Cleared message_stop timeout - stream completed normally")
        say(2, self.time, "[Stream] message_stop already sent (timeout or finish event)")
        call.end = self.time + 1
        speed = call.output_tokens * 1000 / (last - call.start - call.ttft)
        sizes = f"({self.events} chunks, {self.units} bytes) | ⚡ {speed:.1f} tok/s"
        say(1, call.end, f"[Request Complete] {run.name}: {call.end - call.start}ms {sizes}")
        metrics = {"hash": prompt_hash(call), **usage, "cacheReadTokens": call.cached, "cacheCreationTokens": 0}
        say(1, call.end, "[Cache Metrics] Recorded streaming response metrics", metrics)
        say(2, call.end, "[Stream] Ending response stream after flush")
        say(1, call.end + 1, "[Client Disconnect] Connection closed by client")
        say(2, call.end + 1, "[Cleanup] Cleared keepalive interval on client close")
        say(2, call.end + 1, "[Cleanup] Cleared request timeout on client close")
