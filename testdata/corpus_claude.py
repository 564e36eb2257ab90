"""The traces of claude mode: a file for the request, and a later one with the reply too."""

import corpus_requests as make
import corpus_text as words

HOST = "localhost:52016"


def claude_traces():
    """(file name, text) of every trace below `traces/claude`."""
    files = []
    for start, duration, body, response, url in requests():
        files.append(make.trace(start, "claude", body, url, host=HOST))
        if response is not None:
            files.append(make.trace(start + duration, "claude", body, url, response, host=HOST))
    return files + probes(make.moment("2025-11-16T01:05:00.000Z"))


def requests():
    """(start, duration, body, response or None, url) of the requests that are no probes."""
    user = make.user_id("joined", "claude")
    start = make.moment("2025-11-16T01:10:00.000Z")
    url = "/v1/messages?beta=true"
    few = [*words.BUILT_IN_TOOLS[:3], words.SERVER_TOOL]
    talk = words.conversation()
    yield start + 118, 2417, make.turn(talk[:1], user, tools=few), first_reply(), url
    yield start + 4204, 3651, make.turn(talk[:3], user, tools=few), searching_reply(), url
    title = make.background(words.TITLE, "Please give heron a flag.", user)
    yield start + 4310, 1290, title, gzipped_reply(), url
    yield start + 9870, 1804, make.turn(talk[:5], user, tools=few, stream=False), object_reply(), url
    count = {"model": make.SONNET, "messages": talk[:3], "tools": few}
    yield start + 12003, 331, count, make.reply({"input_tokens": 1874}), "/v1/messages/count_tokens?beta=true"
    refused = make.turn(talk[:7], user, tools=few, model="claude-sonnet-4-nonesuch")
    yield start + 15600, 0, refused, None, url


def first_reply():
    usage = {"input_tokens": 14, "cache_creation_input_tokens": 2210, "cache_read_input_tokens": 0}
    blocks = [make.text_block("I'll look at the layout first. 鳥 🐦"), make.tool_block("LS", {"path": "/home/ada/heron"})]
    return make.streamed(blocks, "tool_use", usage, 74)


def searching_reply():
    """Two kinds of tool calls, the result of a search, and thinking."""
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 188, "cache_read_input_tokens": 2210}
    thinking = ({"type": "thinking", "thinking": ""}, [{"type": "thinking_delta", "thinking": "Widths, then."}])
    found = ({"type": "web_search_tool_result", "tool_use_id": "toolu_01stream", "content": []}, [])
    search = make.tool_block("web_search", {"query": "width of CJK characters"}, "server_tool_use")
    read = make.tool_block("Read", {"file_path": "/home/ada/heron/src/count.rs"})
    return make.streamed([thinking, search, found, make.text_block("Two columns each."), read], "tool_use", usage, 131)


def object_reply():
    usage = {"input_tokens": 2611, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2398, "output_tokens": 58}
    content = [words.text("Both at once."), words.use(31, "Bash", command="ls"), words.use(32, "Bash", command="pwd")]
    return make.reply(make.message(content, "tool_use", usage))


def gzipped_reply():
    """Compressed bytes that were decoded as if they were text."""
    noise = bytes(31 if at == 0 else 139 if at == 1 else at * at * 37 % 251 for at in range(180))
    return make.reply(noise.decode("utf-8", "replace"))


def probes(start):
    """Ten equal requests in a row whose replies come while others still wait."""
    body = make.probe(make.HASH)
    usage = {"input_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    response = make.reply(make.message([words.text("#")], "max_tokens", usage))
    asked = [start + 1 + 120 * number for number in range(10)]
    files = [make.trace(time, "claude", body, host=HOST) for time in asked]
    files += [make.trace(time + 401 + 3 * number, "claude", body, response=response, host=HOST) for number, time in enumerate(asked)]
    return files
