#!/usr/bin/env python3
"""Hold what `traces timing --server-log` reads from a real llama.cpp server's log against its replies.

    server_log.py --traces target/release/traces

Needs xllamacpp: see requirements.txt. A growing conversation, other conversations in between, and
several requests at once; each reply has the server's own `timings`. For each of them the log's task
must have the same tokens of prompt, cache and answer, and the same times, to the millisecond that
`timing` rounds them to; and there must be no other task.

Exits with 1 on a difference.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from server import Server

SYSTEM = "You answer questions about plants, and about nothing else. " * 20
# (slots, whether main memory keeps what leaves a slot, requests at once)
RUNS = [(1, False, 1), (2, True, 1), (4, True, 4)]
TURNS = 4
PATIENCE_SECONDS = 30


def bodies(conversation):
    """The requests of one conversation: each goes on with the one before."""
    messages = [{"role": "system", "content": SYSTEM}]
    for turn in range(TURNS):
        messages.append({"role": "user", "content": f"Conversation {conversation}: how often does fern {turn} want water?"})
        yield {"model": "any", "max_tokens": 12 + turn, "cache_prompt": True, "messages": list(messages)}
        messages.append({"role": "assistant", "content": f"Every {turn + 2} days."})


def talk(server, conversation):
    return [server.post("/v1/chat/completions", body)["timings"] for body in bodies(conversation)]


def replies(server, at_once):
    """The timings of all replies."""
    if at_once == 1:
        return [timings for conversation in range(3) for timings in talk(server, conversation)]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return [timings for timings in pool.map(lambda n: talk(server, n), range(at_once)) for timings in timings]


def of_reply(timings):
    cached, read, written = timings["cache_n"], timings["prompt_n"], timings["predicted_n"]
    times = (round(timings["prompt_ms"]), round(timings["predicted_ms"]))
    return (cached + read, cached, read, written, *times)


def of_task(task):
    names = ("prompt_tokens", "cached_tokens", "read_tokens", "output_tokens", "read_ms", "write_ms")
    return tuple(task[name] for name in names)


def same(task, reply):
    """The log rounds times to hundredths, so that a half may be rounded either way."""
    return task[:4] == reply[:4] and all(abs(one - other) <= 1 for one, other in zip(task[4:], reply[4:]))


def unpaired(tasks, replies):
    """The tasks and the replies that are left when as many as can be are the same, two by two.

    Of several with the same counts any may be any, and a time that was rounded the other way may
    put them in another order: so a task that was paired gives its reply up where it can have another.
    """
    task_of = {}

    def pair(task, tried):
        for reply in range(len(replies)):
            if reply in tried or not same(tasks[task], replies[reply]):
                continue
            tried.add(reply)
            if reply not in task_of or pair(task_of[reply], tried):
                task_of[reply] = task
                return True
        return False

    alone = [tasks[task] for task in range(len(tasks)) if not pair(task, set())]
    return alone, [reply for n, reply in enumerate(replies) if n not in task_of]


def read(traces, log, home):
    command = [traces, "timing", "--server-log", log, "--format", "json"]
    environment = {**os.environ, "HOME": home}
    environment.pop("TRACES_ROOT", None)
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(printed)


def compare(traces, slots, ram, at_once):
    """Whether a server's log and its replies say the same."""
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, slots=slots, ram=ram) as server:
            told = sorted(map(of_reply, replies(server, at_once)))
            log, deadline = os.path.join(folder, "server.log"), time.monotonic() + PATIENCE_SECONDS
            while True:
                report = read(traces, log, folder)
                tasks = [of_task(task) for task in report["unmatched_log_requests"]]
                logged = sorted(task for task in tasks if None not in task)
                # The last lines may be written after the last reply.
                if len(logged) == len(tasks) >= len(told) or time.monotonic() > deadline:
                    break
                time.sleep(0.5)
        [found] = report["server_logs"]
        print(f"{slots} slots, {at_once} at once: {len(told)} replies, {len(logged)} tasks, {len(found['loads'])} loads")
        tasks_alone, replies_alone = unpaired(logged, told)
        for task in tasks_alone:
            print(f"  only in the log: {task}")
        for reply in replies_alone:
            print(f"  only replied: {reply}")
        is_whole = len(tasks) == len(logged) == len(told) and found["format"] == "llama_server" and len(found["loads"]) == 1
        return is_whole and not tasks_alone and not replies_alone


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", required=True, help="the program to check")
    traces = os.path.abspath(parser.parse_args().traces)
    if not all([compare(traces, *run) for run in RUNS]):
        raise SystemExit("the log and the replies differ")


if __name__ == "__main__":
    main()
