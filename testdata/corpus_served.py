"""A recording, and the log of the server that ran its model: below `served/`.

The backend reports nothing of its cache to the proxy: only the server's log tells. It
loads the model for the first turn; another client asks it something; a request waits for
another; two have the same counts of tokens.
"""

from corpus_times import FAST, FIXED_MS, LOAD_MS, PROXY_MS, TURNS, WRITE_MS, Task
import corpus_requests as make

# The server's clock counts from its own start: so long before it loads the model.
BEFORE_LOAD_MS = 40
# What it does before it begins to read a prompt.
ACCEPT_MS = 12


class ServedTask(Task):
    """A task of which the server logs what it did."""

    def __init__(self, model, started):
        super().__init__(model, started, reports=False)
        self.served = []

    def turn(self, messages, extra_ms=0, cold=False, **more):
        held = 0 if cold else self.known
        call = super().turn(messages, extra_ms=extra_ms, cold=cold, **more)
        self.served.append((call, min(held, call.prompt_tokens - 1), extra_ms))
        return call

    def twice(self, messages, **more):
        """Two requests with equal counts."""
        state = self.random.getstate()
        self.turn(messages, cold=True, **more)
        self.random.setstate(state)
        self.turn(messages, cold=True, **more)


class Server:
    """What `llama-server` writes to its standard error at verbosity 4."""

    def __init__(self, started):
        self.started = started
        self.lines = []
        self.tasks = 0

    def say(self, at, text):
        us = round((at - self.started) * 1000)
        head = f"{us // 60_000_000}.{us // 1_000_000 % 60:02}.{us // 1000 % 1000:03}.{us % 1000:03}"
        self.lines.append((us, len(self.lines), f"{head} I {text}\n"))

    def slot(self, at, function, task, text, slot=0):
        self.say(at, f"slot {function:>12}: id {slot:2} | task {task} | {text}")

    def server(self, at, function, text):
        self.say(at, f"srv  {function:>12}: {text}")

    def load(self, at, ms):
        self.server(at, "init", "loading model")
        self.server(at + 0.1, "load_model", "loading model '/models/qwen3-30b-a3b.gguf'")
        self.say(at + ms / 2, "print_info: n_ctx_train      = 262144")
        self.server(at + ms - 1, "load_model", "initializing, n_slots = 1, n_ctx_slot = 65536, kv_unified = 'false'")
        self.server(at + ms - 0.5, "load_model", "prompt cache is disabled - use `--cache-ram N` to enable it")
        self.server(at + ms, "init", "model loaded")

    def task(self, received, began, read_ms, prompt, cached, output, ended, is_last=True):
        task, self.tasks = self.tasks, self.tasks + output + 2
        read, write_ms = prompt - cached, ended - began - read_ms
        chosen = f"LCP similarity, f_sim_best = {cached / prompt:.3f} (> 0.100 thold), f_keep = 1.000"
        self.server(received, "server_strea", "conv_id= (empty=1)")
        self.slot(began - 0.4, "get_availabl", -1, "selected slot by " + (chosen if cached else f"LRU, t_last = {task - 1}"))
        self.slot(began, "launch_slot_", task, "processing task, is_child = 0")
        self.slot(began + 0.1, "operator()", task, f"new prompt, n_ctx_slot = 65536, n_keep = 0, task.n_tokens = {prompt}")
        self.slot(began + 0.2, "operator()", task, f"cached n_tokens = {cached}, memory_seq_rm [{cached}, end)")
        for done in range(2048, read, 2048):
            at = began + read_ms * done / read
            self.slot(at, "operator()", task, f"cached n_tokens = {cached + done}, memory_seq_rm [{cached + done}, end)")
        self.say(began + read_ms, f"que    start_loop: waiting for task {task}")
        for name, ms, tokens in (("prompt eval", read_ms, read), ("       eval", write_ms, output)):
            each = f"({ms / tokens:8.2f} ms per token, {1000 * tokens / ms:8.2f} tokens per second)"
            self.slot(ended, "print_timing", task, f"{name} time = {ms:10.2f} ms / {tokens:5} tokens {each}")
        self.slot(ended, "print_timing", task, f"      total time = {read_ms + write_ms:10.2f} ms / {read + output:5} tokens")
        self.slot(ended + 0.2, "release", task, f"stop processing: n_tokens = {prompt + output - 1}, truncated = 0")
        if is_last:
            self.server(ended + 0.3, "update_slots", "all slots are idle")

    def text(self):
        return "".join(line for _, _, line in sorted(self.lines))


def served():
    """The task, and its server's log."""
    task = ServedTask(FAST, "2025-12-08T09:00:00.800Z")
    first = task.turn(1, extra_ms=LOAD_MS)
    for count in TURNS[1:3]:
        task.turn(count)
    held = task.turn(7, cold=True)
    at = held.at + 1000
    task.turn(1, at=at, system=make.system_blocks("2025-12-08"), cold=True, extra_ms=held.end - at - PROXY_MS)
    task.turn(9)
    task.twice(3, wait=4000)

    server = Server(first.start + FIXED_MS - ACCEPT_MS - BEFORE_LOAD_MS)
    server.load(first.start + FIXED_MS - ACCEPT_MS, LOAD_MS)
    for call, cached, extra_ms in task.served:
        began = call.start + FIXED_MS + extra_ms
        read_ms = call.ttft - FIXED_MS - extra_ms
        waiting = any(call.start < other.start < call.end for other, _, _ in task.served)
        counts = (call.prompt_tokens, cached, call.output_tokens)
        server.task(call.start + ACCEPT_MS, began, read_ms, *counts, call.end - WRITE_MS, is_last=not waiting)
    last = task.served[-1][0].end
    server.task(last + 5_000, last + 5_010, 300.25, 311, 0, 17, last + 6_000)
    return task, server


def all_files():
    """(path below `served`, text) of the recording and of the log."""
    task, server = served()
    yield from task.files()
    yield ".anyclaude/request-logs/2025-12-08.jsonl", "".join(text for _, text in sorted(task.run.request_log()))
    yield "server.log", server.text()
