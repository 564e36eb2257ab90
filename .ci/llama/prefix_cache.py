#!/usr/bin/env python3
"""Hold what `traces prefix` says against the prompt cache of a real llama.cpp server.

    prefix_cache.py --traces target/release/traces

Needs xllamacpp: see requirements.txt. The same requests go to both in the same order: those
recorded in testdata/home, and some made by rule. For each of them:

- The server may reuse no more tokens than `prefix` says can be, but for the template's own
  marks. A prompt is cut where `prefix` says that it broke, and the server's template and
  tokenizer count what is left; of a prompt that was only appended to, all that was held counts.
- Both agree on which requests broke: the server kept less than the whole of the prompt that
  `prefix` says it was compared with.
- The server reuses no less either, but for the marks, where `prefix` finds a tenth or more of
  the prompt: with less, a server takes another slot, and reuses what that holds.

The model has a token for every byte, and of the prompt only reasoning and images are left out, so
that nothing is lost in rounding. What the template adds is measured. Four bounds remain, in words:

- Inside a tool that changed, the template writes JSON with more white space and other members
  than the recorded one has: so many bytes more may be reused there.
- A tool call or result that differs counts as nothing for `prefix`, while a server reuses what
  its text begins with. No request here breaks inside one.
- In a prompt of 230 bytes or less the template's own marks are a tenth, so that a server puts it
  where `prefix` would not. With one slot that makes no difference; with more, such requests are
  left out, and counted.
- Of two prompts in main memory, one of which begins with the other, the server keeps the longer
  only, and it brings back what keeps most of itself. `prefix` says what is there: there only the
  first of the three is held against the server, and what it reuses less is counted.

Exits with 1 on a disagreement.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import prompts
import requests_by_rule
from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "..", "..", "testdata", "home", ".anyclaude", "traces", "lmstudio")
SMALL_BYTES = 230
# (requests, slots, whether main memory keeps what leaves a slot, what the template puts first)
RUNS = [
    ("recorded", 1, False, "system-first"),
    ("recorded", 4, False, "system-first"),
    ("recorded", 1, True, "system-first"),
    ("by rule", 1, False, "system-first"),
    ("by rule", 4, False, "system-first"),
    ("by rule", 4, False, "tools-first"),
    ("by rule", 1, True, "system-first"),
    ("by rule", 2, True, "tools-first"),
]


@dataclasses.dataclass
class Row:
    """One request: what the server reused of it, and what `prefix` says."""

    name: str
    cause: str
    prompt_tokens: int
    cached_tokens: int
    reusable_tokens: int
    # What the template may add to the latter.
    allowed_tokens: int
    server_broke: bool
    prefix_broke: bool
    # Whether main memory keeps what leaves a slot.
    ram: bool

    @property
    def beyond_tokens(self):
        """How much more the server reused; negative where it was less."""
        return self.cached_tokens - self.reusable_tokens

    @property
    def wrong(self):
        """On what the two disagree, in a word; empty where they do not."""
        if self.beyond_tokens > self.allowed_tokens:
            return "EXCEEDS"
        if self.ram:
            return ""
        if self.server_broke != self.prefix_broke:
            return "DISAGREES"
        is_tenth = self.reusable_tokens * 10 >= self.prompt_tokens
        return "FALLS SHORT" if is_tenth and self.beyond_tokens < -self.allowed_tokens else ""


class Template:
    """The server's chat template and tokenizer."""

    NOTHING = {"role": "user", "content": ""}

    def __init__(self, server):
        self.server = server
        nothing = self._tokens([self.NOTHING])
        self.nothing = len(nothing)
        # The marks around a message, with that after which the model answers.
        self.marks = len(self._tokens([self.NOTHING], answer=True))
        # The frame of a tool.
        self.tool = self.count({"messages": [], "tools": [prompts.tool({"name": ""})]})
        # What ends a prompt, and is no longer there when it goes on.
        one, two = (self._tokens([{"role": "user", "content": text}]) for text in ("x", "xx"))
        self.ending = len(one) - len(os.path.commonprefix([one, two])) + self.marks - self.nothing

    def _tokens(self, messages, tools=(), answer=False):
        prompt = {"messages": messages, **({"tools": tools} if tools else {}), "add_generation_prompt": answer}
        text = self.server.post("/apply-template", prompt)["prompt"]
        return self.server.post("/tokenize", {"content": text})["tokens"]

    def count(self, prompt):
        """The tokens of a prompt without the mark after which the model answers.

        An empty message follows it, and is taken off again: the server would go on with an
        answer that comes last.
        """
        return len(self._tokens([*prompt["messages"], self.NOTHING], prompt.get("tools", ()))) - self.nothing


def reusable(template, body, broken, order):
    """Tokens before the place where a prompt broke, and what the template may add there."""

    def before(place):
        return template.count(prompts.converted(prompts.up_to(body, place, order)))

    tokens, part = before(broken), prompts.PLACE.fullmatch(broken["element"])
    if part[1] != "tools":
        return tokens, template.marks
    allowed, common = template.marks + template.tool, broken["common_bytes"]
    if common:
        index = int(part[2])
        with_tool = before({**broken, "element": f"tools[{index + 1}]"})
        allowed += max(0, with_tool - tokens - len(prompts.compact(body["tools"][index])))
    return tokens + common, allowed


def read(path):
    """The body that a trace holds."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)["request"]["body"]


def compared(server, order, ram, found):
    """The rows of what was found, one after the other as the server answers."""
    template, prompt_tokens = Template(server), {}
    print(f"template: {template.marks} tokens around a message, {template.tool} around a tool, {template.ending} end a prompt")
    for request in found["requests"]:
        body = read(request["path"])
        ask = {**prompts.converted(body), "max_tokens": 1, "temperature": 0}
        usage = server.post("/v1/chat/completions", ask)["usage"]
        all_, cached = usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]
        prompt_tokens[request["path"]] = all_
        held, broken = request["reused_from"], request["break"]
        whole = min(all_, prompt_tokens[held]) if held else None
        if broken:
            tokens, allowed = reusable(template, body, broken, order)
        else:
            tokens, allowed = whole or 0, template.marks
        yield Row(
            name=f"{request['kind']} {os.path.basename(request['path'])[5:23]}",
            cause=f"{broken['cause']} at {broken['element']}" if broken else "",
            prompt_tokens=all_,
            cached_tokens=cached,
            reusable_tokens=tokens,
            allowed_tokens=allowed,
            server_broke=whole is None or cached + template.ending < whole,
            prefix_broke=broken is not None,
            ram=ram,
        )


def print_rows(rows):
    width = max(len(row.name) for row in rows)
    print(f"\n{'REQUEST':{width}}  PROMPT  SERVER  PREFIX  BEYOND  BROKE: SERVER  PREFIX")
    for row in rows:
        server, prefix = ("yes" if broke else "no" for broke in (row.server_broke, row.prefix_broke))
        figures = f"{row.prompt_tokens:6}  {row.cached_tokens:6}  {row.reusable_tokens:6}  {row.beyond_tokens:+6}"
        wrong = row.wrong and f"  <-- {row.wrong}"
        print(f"{row.name:{width}}  {figures}  {server:>13}  {prefix:>6}  {row.cause}{wrong}".rstrip())


def summary(rows):
    def total(name):
        return sum(getattr(row, name) for row in rows)

    return (
        f"{len(rows)} requests of {total('prompt_tokens')} tokens: the server reused {total('cached_tokens')}, "
        f"prefix says {total('reusable_tokens')}; no request is more than {max(row.beyond_tokens for row in rows)} "
        f"beyond it; {total('server_broke')} broke; {sum(bool(row.wrong) for row in rows)} disagree; "
        f"{sum(row.beyond_tokens < -row.allowed_tokens for row in rows)} reuse less"
    )


def prefix(traces, root, slots, ram, order):
    cache = ["--slots", str(slots), "--cache-ram", "on" if ram else "off", "--order", order, "--as", "text-only"]
    command = [traces, "prefix", "--root", root, "--all", *cache, "--format", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def run(traces, folder, requests, slots, ram, order):
    """Compare one sequence of requests: its summary, and whether all agree."""
    root = os.path.join(folder, f"{requests} {slots} {ram} {order}")
    target = os.path.join(root, "traces", "lmstudio")
    if requests == "recorded":
        shutil.copytree(RECORDED, target)
    else:
        requests_by_rule.write(target)
    memory = " and main memory" if ram else ""
    heading = f"{requests}, {slots} slot{'s' if slots > 1 else ''}{memory}, {order}"
    found = prefix(traces, root, slots, ram, order)
    small = [each["path"] for each in found["requests"] if slots > 1 and each["prompt_bytes"] <= SMALL_BYTES]
    for path in small:
        os.remove(path)
    print(f"\n{heading}: {len(small)} left out as too small")
    with Server(folder, slots, order, ram) as server:
        rows = list(compared(server, order, ram, prefix(traces, root, slots, ram, order)))
    print_rows(rows)
    return f"{heading}: {summary(rows)}", not any(row.wrong for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", required=True, help="the program whose `prefix` is checked")
    traces = os.path.abspath(parser.parse_args().traces)
    with tempfile.TemporaryDirectory() as folder:
        results = [run(traces, folder, *each) for each in RUNS]
    print("", *(line for line, _ in results), sep="\n")
    sys.exit(0 if all(agree for _, agree in results) else 1)


if __name__ == "__main__":
    main()
