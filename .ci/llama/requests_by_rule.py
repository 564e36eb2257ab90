"""Turns of a conversation, each changed by one rule, in the shape of the recorder."""

import copy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata"))

import corpus_requests as make
import corpus_text as words

FIRST = make.moment("2025-11-17T08:00:00.000Z")
STEP_MS = 20_000
TOOLS = words.READ_ONLY_TOOLS


def edited(messages, at, block, text):
    """The history with another text in one place."""
    messages = copy.deepcopy(messages)
    messages[at]["content"][block]["text"] = text
    return messages


def other_words(tool):
    """The tool with something else said in the middle of its description."""
    said = tool["description"]
    middle = len(said) // 2
    return {**tool, "description": f"{said[:middle]}, or perhaps not, {said[middle:]}"}


def bodies():
    """The requests, in order."""
    user, talk = make.user_id("joined", "fast"), words.conversation()
    changed_tools = [*TOOLS[:3], other_words(TOOLS[3]), *TOOLS[4:]]
    system_message = {"role": "system", "content": "The user opened src/count.rs."}
    summary = {"role": "user", "content": "What was done so far: the flag --json was added to `heron count`."}

    def turn(messages, tools=TOOLS, **system):
        return make.turn(messages, user, tools=tools, system=make.system_blocks(**system))

    # A conversation grows, with requests on the side.
    yield turn(talk[:1])
    yield make.background(words.TOPIC, words.ASK, user)
    yield turn(talk[:3])
    yield make.probe(user)
    yield turn(talk[:5])
    yield make.research(1, user)
    yield turn(talk[:7])
    yield make.research(3, user)
    yield make.background(words.TITLE, words.ASK, user)
    yield turn(talk[:7])
    # The user goes back and asks otherwise, then goes on from where he was.
    rather = words.ASK.replace("--json", "--csv")
    yield turn(edited(talk[:7], 0, 1, rather))
    yield turn(edited(talk[:9], 0, 1, rather))
    yield turn(talk[:9])
    # Tools: one is described otherwise, one goes, two change places.
    yield turn(talk[:9], tools=changed_tools)
    yield turn(talk[:11], tools=changed_tools)
    yield turn(talk[:11], tools=[TOOLS[0], *TOOLS[2:]])
    yield turn(talk[:11], tools=[TOOLS[0], *TOOLS[3:1:-1], *TOOLS[4:]])
    # A system message comes in; the history is compacted; a day has passed.
    yield turn(talk[:11])
    yield turn([*talk[:6], system_message, *talk[6:11]])
    yield turn([summary, *talk[9:11]])
    yield turn([summary, *talk[9:13]])
    yield turn([summary, *talk[9:13]], date="2025-11-18")
    # A billing header, another in each turn.
    for number, count in enumerate((1, 3, 5, 7), 1):
        yield turn(talk[:count], billing=number)


def write(folder):
    """Write a trace for each of them."""
    os.makedirs(folder)
    for number, body in enumerate(bodies()):
        name, text = make.trace(FIRST + number * STEP_MS, "lmstudio", body)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
