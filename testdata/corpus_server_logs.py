"""Logs of servers whose clients recorded nothing: LM Studio's in its three forms, and llama-server's."""

import json
from datetime import datetime, timedelta, timezone

BEGAN = datetime(2025, 11, 17, 9, 30, 0, tzinfo=timezone.utc)
MODEL = "qwen3-4b"
SYSTEM = "You look after a small garden."
TOOL = {"name": "Water", "description": "Waters a plant.", "input_schema": {"type": "object"}}
# (seconds it comes after the one before, tokens of the prompt, of them cached, of the answer, ms reading, ms writing)
ANSWERED = [
    (0, 2_000, 0, 31, 2_000, 2_000),
    (10, 2_100, 2_030, 41, 250, 1_750),
    (10, 2_300, 2_140, 21, 400, 1_600),
]


class Log:
    """Messages, each with its second, level and text; text may go on over several lines."""

    def __init__(self):
        self.messages = []

    def say(self, seconds, level, text):
        self.messages.append((BEGAN + timedelta(seconds=seconds), level, text))

    def file(self):
        return "".join(f"[{at:%Y-%m-%d %H:%M:%S}][{level}]{glue(text)}{text}\n" for at, level, text in self.messages)

    def window(self):
        return "".join(f"{at:%Y-%m-%d %H:%M:%S} {f'[{level}]':>7}\n {cut(text)}\n" for at, level, text in self.messages)

    def stream(self):
        lines = []
        for at, level, text in self.messages:
            content = f"[{at:%Y-%m-%d %H:%M:%S}][{level}]{glue(text)}{text}"
            data = {"type": "server.log", "content": content, "level": level.lower()}
            event = {"timestamp": int(at.timestamp() * 1000), "data": data}
            lines.append(json.dumps(event, separators=(",", ":")) + "\n")
        return "".join(lines)


def glue(text):
    return "" if text.startswith("[") else " "


def cut(text):
    """The window cuts long strings."""
    return text.replace(SYSTEM, "You look aft... <Truncated in logs> ...ll garden.")


def body(turn):
    messages = []
    for at in range(turn + 1):
        messages.append({"role": "user", "content": f"What does bed {at} need?"})
        if at < turn:
            messages.append({"role": "assistant", "content": f"Bed {at} needs water."})
    return {"model": "qwen3", "max_tokens": 512, "system": SYSTEM, "tools": [TOOL], "messages": messages, "stream": True}


def engine(slot, task, words):
    return f"slot {words[0]:>12}: id {slot:2} | task {task} | {words[1]}"


def lm_studio():
    log = Log()
    log.say(-5, "INFO", "[LM STUDIO SERVER] Success! HTTP server listening on port 1234")
    now = 0
    for turn, (pause, prompt, cached, output, reading, writing) in enumerate(ANSWERED):
        now += pause
        request = json.dumps(body(turn), indent=2)
        log.say(now, "DEBUG", f"Received request: POST to /v1/messages?beta=true with body {request}")
        if turn == 0:
            log.say(now, "INFO", '[JIT] Requested model (qwen3) is not loaded. Loading "qwen3" now...')
            now += 6
        log.say(now, "INFO", f"[{MODEL}] Running chat completion on conversation with {2 * turn + 2} messages.")
        log.say(now, "INFO", f"[{MODEL}] Streaming response...")
        launched = "\n".join([
            engine(0, -1, ("get_availabl", "selected slot by LRU, t_last = -1")),
            engine(0, turn, ("launch_slot_", "processing task, is_child = 0")),
        ])
        log.say(now, "DEBUG", launched)
        log.say(now, "INFO", f"[{MODEL}] Prompt processing progress: 0.0%")
        log.say(now + round(reading / 1000), "INFO", f"[{MODEL}] Prompt processing progress: 100.0%")
        now += round((reading + writing) / 1000)
        read = prompt - cached
        timings = "\n".join([
            engine(0, turn, ("print_timing", f"prompt eval time = {reading:10.2f} ms / {read:5} tokens (x)")),
            engine(0, turn, ("print_timing", f"       eval time = {writing:10.2f} ms / {output:5} tokens (x)")),
            engine(0, turn, ("release", f"stop processing: n_tokens = {prompt + output - 1}, truncated = 0")),
        ])
        log.say(now, "DEBUG", timings)
        log.say(now, "INFO", f"[{MODEL}] Finished streaming response")
    log.say(now + 5, "DEBUG", "Received request: POST to /v1/chat/completions with body [Sensitive]")
    log.say(now + 5, "INFO", f"[{MODEL}] Running chat completion on conversation with 1 messages.")
    log.say(now + 6, "INFO", f"[{MODEL}] Prompt processing progress: 100.0%")
    answer = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Bed 3 is fine."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 11, "total_tokens": 51},
        "stats": {"tokens_per_second": 20.0, "time_to_first_token": 0.25, "generation_time": 0.75, "stop_reason": "eosFound"},
    }
    log.say(now + 6, "INFO", f"[{MODEL}] Generated prediction: {json.dumps(answer, indent=2)}")
    log.say(now + 20, "INFO", f"[{MODEL}] Running chat completion on conversation with 3 messages.")
    log.say(now + 22, "INFO", f"[{MODEL}] Prompt processing progress: 18.9%")
    log.say(now + 50, "INFO", "[LM STUDIO SERVER] Client disconnected. Stopping generation...")
    log.say(now + 52, "INFO", f"[{MODEL}] Finished streaming response")
    return log


def llama_server():
    def line(ms, text):
        minutes, ms = divmod(ms, 60_000)
        seconds, ms = divmod(ms, 1_000)
        return f"{minutes}.{seconds:02}.{ms:03}.000 I {text}\n"

    text = line(10, "srv          init: loading model") + line(12, "srv    load_model: loading model '/models/fern-1b.gguf'")
    text += line(4_510, "srv          init: model loaded")
    now = 10_000
    for task, (pause, prompt, cached, output, reading, writing) in enumerate(ANSWERED):
        now += 1_000 * pause
        text += line(now, engine(0, -1, ("get_availabl", f"selected slot by LRU, t_last = {-1 if task == 0 else now}")))
        text += line(now, engine(0, task, ("launch_slot_", "processing task, is_child = 0")))
        now += reading + writing
        text += line(now, engine(0, task, ("print_timing", f"prompt eval time = {reading:10.2f} ms / {prompt - cached:5} tokens (x)")))
        text += line(now, engine(0, task, ("print_timing", f"       eval time = {writing:10.2f} ms / {output:5} tokens (x)")))
        text += line(now, engine(0, task, ("release", f"stop processing: n_tokens = {prompt + output - 1}, truncated = 0")))
    return text


def all_files():
    log = lm_studio()
    yield "lm-studio/2025-11/2025-11-17.1.log", log.file()
    yield "lm-studio-window.txt", log.window()
    yield "lm-studio-stream.ndjson", log.stream()
    yield "llama-server.log", llama_server()
