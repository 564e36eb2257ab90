"""The runs: which process got which requests, and how long each took.

A made-up machine: the fast model reads a token in 0.32 ms and writes one in 16 ms, the slow
one needs 4.3 ms and 104 ms. Everything else follows from the bodies.
"""

import random
import re

import corpus_logs as logs
import corpus_requests as make
import corpus_text as words

HOME = "/Users/ada/.anyclaude"
FAST = {"model": "openai/gpt-oss-20b", "read": 0.32, "step": 16, "ratio": 3.9}
SLOW = {"model": "qwen3-42b-a3b-2507-thinking", "read": 4.3, "step": 104, "ratio": 3.7}
SMALL = {"model": "qwen/qwen3-4b-2507", "read": 0.9, "step": 22, "ratio": 3.7}
TALL = {"model": "qwen/qwen3-30b-a3b", "read": 2.0, "step": 40, "ratio": 3.7}
UNNAMED = {"model": "current-model", "read": 1.1, "step": 30, "ratio": 3.8}


class Sitting:
    """Lets one process answer one request after the other."""

    def __init__(self, speed, level, started, version="1.0.6", **more):
        self.speed = speed
        self.version = version  # of the client
        self.random = random.Random(started)
        self.run = logs.Run(speed["model"], level, make.moment(started), **more)
        self.now = self.run.started + 900
        self.number = 0

    def ask(self, body, wait=1500, beside=False, proxy=None, ttft=None, step=None, blocks=None, outcome="completed", url="/v1/messages?beta=true"):
        """Send a request `wait` ms after the last answer, or after the last request if `beside`."""
        at = (self.run.calls[-1].at if beside else self.now) + wait
        tokens = self.prompt_tokens(body)
        call = logs.Call(
            body,
            at,
            proxy=self.proxy_time(body) if proxy is None else proxy,
            gap=self.random.choice((0, 1, 1, 2, 8, 24, 118)),
            ttft=ttft or 240 + round(tokens * self.speed["read"]) + self.random.randrange(90),
            step=step or self.speed["step"],
            blocks=blocks or self.answer(body),
            prompt_tokens=tokens,
            outcome=outcome,
            url=url,
        )
        self.run.add(call)
        self.now = max(self.now, call.end)
        return call

    def prompt_tokens(self, body):
        prompt = [body.get(name) for name in ("system", "tools", "messages")]
        return max(1, round(len(make.compact(prompt)) / self.speed["ratio"]))

    def proxy_time(self, body):
        if not self.run.calls:
            return 2600 + self.random.randrange(400)
        return self.random.randrange(60, 700) if body.get("tools") else self.random.randrange(4, 90)

    def answer(self, body):
        """Some words, and in a conversation every other time a call of a tool."""
        self.number += 1
        pieces = re.findall(r"\S+ ?", words.ANSWERS[self.number % len(words.ANSWERS)])
        blocks = [("text", pieces)]
        if body.get("tools") and self.number % 2:
            blocks.append(("Read", ['{"file', '_path": "', "/home/ada/heron", '/src/main.rs"}']))
        return blocks

    def files(self):
        """(path below the home, text) of the traces and the debug log."""
        yield f".anyclaude/logs/{self.run.log_name()}", self.run.debug_log()
        yield from self.traces()

    def traces(self):
        for call in self.run.calls:
            name, text = make.trace(call.traced, logs.PROVIDER, call.body, call.url, version=self.version)
            yield f".anyclaude/traces/{logs.PROVIDER}/{name}", text


def fast():
    """The whole task with the fast model, with all kinds of requests between the turns."""
    sitting, user = Sitting(FAST, 2, "2025-11-16T02:30:40.312Z"), make.user_id("joined", "fast")
    talk = words.conversation()
    sitting.ask(make.probe(user), wait=4)
    sitting.ask(make.background(words.TOPIC, words.ASK, user), wait=1200)
    sitting.ask(make.turn(talk[:1], user), wait=40, proxy=3300)
    sitting.ask(make.background(words.TITLE, words.ASK, user), wait=4100, beside=True, proxy=12)
    for count in (3, 5):
        sitting.ask(make.turn(talk[:count], user))
    for count in (1, 3, 5):
        sitting.ask(make.research(count, user), wait=400)
    sitting.ask(make.turn(talk[:7], user))
    sitting.ask(make.count_tokens(talk[:9], user), wait=100, ttft=700, url="/v1/messages/count_tokens?beta=true")
    for count in (9, 11, 13):
        sitting.ask(make.turn(talk[:count], user))
    edited = talk[:4] + [{"role": "user", "content": [*talk[4]["content"], words.text("Rather --csv than --json.")]}]
    sitting.ask(make.turn(edited, user), wait=45_000)
    return sitting


def slow():
    """The same task with the slow model, twenty minutes later."""
    sitting, user = Sitting(SLOW, 2, "2025-11-16T02:52:07.540Z"), make.user_id("joined", "slow")
    talk = words.conversation(variant=1)
    sitting.ask(make.turn(talk[:1], user), wait=4, proxy=3400)
    sitting.ask(make.background(words.TITLE, words.ASK, user), wait=5100, beside=True, ttft=14_380)
    for count in (3, 5):
        sitting.ask(make.turn(talk[:count], user))
    sitting.ask(make.research(1, user), wait=400)
    sitting.ask(make.research(3, user), wait=400)
    for count in (7, 9, 11, 13):
        sitting.ask(make.turn(talk[:count], user))
    sitting.run.footer = logs.footer(sitting.now + 60_000)
    return sitting


def level_one():
    """A short run that logged little; system prompts of other shapes."""
    sitting, user = Sitting(SMALL, 1, "2025-11-16T03:20:11.002Z"), make.user_id("bare", None)
    sitting.ask(make.probe(user), wait=4)
    empty = make.background("", "Say hello to the herons.", user)
    sitting.ask(empty)
    without = make.background([], [words.text("And good night 🌙.")], user)
    del without["max_tokens"]
    sitting.ask(without)
    few = words.BUILT_IN_TOOLS[:4]
    plain = [{"role": "user", "content": "Where are birds counted?"}]
    sitting.ask(make.turn(plain, user, tools=few, system=words.IDENTITY + "\n\n" + words.GUIDE))
    sitting.ask(make.turn(plain, user, tools=[], system=[]))
    return sitting


def level_three():
    """Everything is logged: indented JSON, and text with line breaks of its own."""
    sitting, user = Sitting(FAST, 3, "2025-11-16T03:30:00.750Z"), make.user_id("bare", None)
    call = sitting.ask(make.research(1, user), wait=4)
    spoken = "[Search Intent] No intent in: how many herons?\n[Request Complete] lmstudio/nobody: 1ms\n  and no stamp here"
    sitting.run.say(1, call.at + 5, spoken)
    sitting.ask(make.research(3, user))
    return sitting


def unnamed():
    """A model that is never named, and the newest version of the client."""
    sitting = Sitting(UNNAMED, 2, "2025-11-16T03:40:25.118Z", version="2.1.156", detected=False)
    user = make.user_id("json", "unnamed")
    asked = [words.text(words.REMINDER), words.text("Which birds come at night?")]
    talk = [{"role": "user", "content": asked}, {"role": "system", "content": "The user opened logs/night.tsv."}]
    talk += [{"role": "assistant", "content": [words.use(51, "Read", file_path="/home/ada/heron/logs/night.tsv")]}]
    talk += [{"role": "user", "content": [words.result(51, "tawny owl\t2\nnightjar\t1\n")]}]
    for number, count in enumerate((2, 4), 1):
        body = make.turn(talk[:count], user, tools=words.READ_ONLY_TOOLS, system=make.system_blocks(billing=number))
        body["thinking"] = {"type": "enabled", "budget_tokens": 4096}
        thought = ("reasoning", ["Night ", "birds ", "are ", "owls."])
        sitting.ask(body, blocks=[thought, ("text", ["Tawny ", "owls ", "and ", "a ", "nightjar."])])
    return sitting


def troubles():
    """An error, a timeout, a very late first token, and a stream without an end."""
    sitting, user = Sitting(TALL, 2, "2025-11-16T03:50:00.009Z"), make.user_id("bare", None)
    few = words.BUILT_IN_TOOLS[2:5]

    def ask(question, **more):
        system = [make.block(words.IDENTITY)]
        sitting.ask(make.turn([{"role": "user", "content": question}], user, tools=few, system=system), **more)

    ask("Is the backend there?", ttft=180, outcome="failed")
    ask("Count everything.", outcome="timed_out")
    ask("Count a little.", ttft=71_450)
    ask("Count on.", outcome="unfinished")
    return sitting


def shared_log():
    """Two processes that began in the same second and so wrote to one log."""
    first, second = (Sitting(speed, level, started) for speed, level, started in SHARED)
    user = make.user_id("bare", None)
    first.now = first.run.started
    first.ask(make.probe(user), wait=20, proxy=90)
    second.ask(make.background(words.TOPIC, "A new day.", user))
    second.ask(make.research(1, user))
    return first, second


SHARED = ((SMALL, 1, "2025-11-16T04:20:00.104Z"), (FAST, 2, "2025-11-16T04:20:00.871Z"))


def without_log():
    """More than two days earlier: a version that kept a request log, but no debug log."""
    sitting, user = Sitting(TALL, 1, "2025-11-13T09:14:30.000Z"), make.user_id("bare", None)
    body = make.turn(words.conversation()[:1], user, tools=words.READ_ONLY_TOOLS, system=make.system_blocks("2025-11-13"))
    sitting.ask(body)
    sitting.ask(make.background(words.TITLE, "Which birds?", user))
    return sitting


def october():
    """The oldest version: debug lines without stamps on stderr, and no log at all."""
    sitting, user = Sitting(UNNAMED, 2, "2025-10-26T14:03:11.000Z", version="1.0.3"), make.user_id("bare", None)
    plain = [{"role": "user", "content": "How high does a heron fly?"}]
    sitting.ask(make.turn(plain, user, tools=words.READ_ONLY_TOOLS, system=[make.block(words.IDENTITY)]), proxy=0, ttft=23_900)
    sitting.ask(make.background(words.TITLE, "Herons", user), wait=15_000, beside=True, proxy=0)
    sitting.ask(make.probe(user), proxy=0)
    return sitting


def october_stderr(run):
    """Only the order of the lines is known, and where each request begins."""
    lines = []
    for call in run.calls:
        start = f"[Request Start] {run.name} at {make.iso(call.start)}"
        details = f'[Request Details] {run.name} {{"toolCount":{call.count("tools")},"messageCount":1}}'
        lines += [(call.start, start), (call.start, details)]
        lines.append((call.traced, f"[TRACE] Saved to: {HOME}/traces/lmstudio/{logs.trace_name(call)}"))
        if call.streamed:
            keepalives = call.ttft // 10_000
            for number in range(1, keepalives + 1):
                lines.append((call.piping + 10_000 * number, f"[Keepalive] Sent keepalive #{number} (waiting for LMStudio)"))
            cleared = f"[Keepalive] Cleared (stream started after {keepalives} keepalives)"
            lines += [(call.start + call.ttft, cleared), (call.end - 1, cleared)]
            lines.append((call.end, f"[Request Complete] {run.name}: {call.end - call.start}ms"))
    text = [line if line.startswith("[TRACE]") else f"[ANYCLAUDE DEBUG] {line}" for _, line in sorted(lines, key=lambda line: line[0])]
    return "[anyclaude] Proxy URL: http://localhost:61022\n" + "\n".join(text) + "\n"


def all_files():
    """(path below the home, text) of everything but claude mode."""
    first, second = shared_log()
    logged = [fast(), slow(), level_one(), level_three(), unnamed(), troubles()]
    for sitting in logged:
        yield from sitting.files()
    for sitting in (first, second):
        yield from sitting.traces()
    yield f".anyclaude/logs/{first.run.log_name()}", first.run.debug_log() + second.run.debug_log()
    yield ".anyclaude/logs/debug-session-2025-11-16T02-29-58.log", ""
    before = without_log()
    yield from before.traces()
    lines = sorted(line for sitting in [*logged, first, second] for line in sitting.run.request_log())
    yield ".anyclaude/request-logs/2025-11-16.jsonl", "".join(text for _, text in lines)
    yield ".anyclaude/request-logs/2025-11-13.jsonl", "".join(text for _, text in before.run.request_log())
    yield "stderr/fast-2025-11-16.txt", logged[0].run.stderr(HOME)
    oldest = october()
    yield from oldest.traces()
    yield "stderr/october-2025-10-26.txt", october_stderr(oldest.run)
    body = make.turn([{"role": "user", "content": "Hello, other backend."}], make.HASH, tools=words.BUILT_IN_TOOLS[:2], system="")
    name, text = make.trace(make.moment("2025-11-16T02:10:09.007Z"), "mlx-lm", body)
    yield f".anyclaude/traces/mlx-lm/{name}", text
