#!/usr/bin/env python3
"""Write a tiny language model with random weights, for tests against a real server.

    make_model.py FILE.gguf [ORDER]

ORDER is what its chat template puts first: `system-first` (unless given) or `tools-first`.
What it answers is noise; what matters is the server around it: token counts, the prompt
cache, streaming. Only the standard library is used: GGUF is a simple format.

Every byte is a token, so that a prompt has as many tokens as bytes (and one for each mark
of the chat template). Answers are printable ASCII only, and never end before the limit:
one dimension of the hidden state is the same for all tokens, and the output weights of
every other token are strongly negative there.
"""

import array
import random
import struct
import sys

LAYERS, WIDTH, HEADS, FEED_FORWARD, CONTEXT = 1, 64, 4, 128, 131072
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NORMAL, CONTROL = 1, 3
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32

TOOLS = "{% if first and tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
CONTENT = "{% if message.content %}{{ message.content }}\n{% endif %}"
CALLS = "{% for call in message.tool_calls %}<tool_call>{{ call.function | tojson }}</tool_call>\n{% endfor %}"
ORDERS = {"system-first": CONTENT + TOOLS, "tools-first": TOOLS + CONTENT}


def template(order):
    """A chat template in which no element of a prompt is left out."""
    return (
        "{%- for message in messages %}"
        "{%- set first = loop.first %}"
        "<|im_start|>{{ message.role }}\n"
        f"{ORDERS[order]}{CALLS}"
        "<|im_end|>\n"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def alphabet():
    """The 256 characters that stand for bytes in a GPT-2 vocabulary, by byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = {byte: chr(byte) for byte in printable}
    characters.update({byte: chr(256 + at) for at, byte in enumerate(others)})
    return [characters[byte] for byte in range(256)]


# --- GGUF ---


def string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    if kind == STRING:
        return string(content)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], content)


def entry(name, kind, content):
    return string(name) + struct.pack("<I", kind) + value(kind, content)


def array_entry(name, kind, items):
    head = string(name) + struct.pack("<IIQ", ARRAY, kind, len(items))
    return head + b"".join(value(kind, item) for item in items)


def metadata(tokens, order):
    types = [NORMAL] * 256 + [CONTROL] * len(SPECIAL)
    return [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny-random"),
        entry("llama.context_length", UINT32, CONTEXT),
        entry("llama.embedding_length", UINT32, WIDTH),
        entry("llama.block_count", UINT32, LAYERS),
        entry("llama.feed_forward_length", UINT32, FEED_FORWARD),
        entry("llama.attention.head_count", UINT32, HEADS),
        entry("llama.attention.head_count_kv", UINT32, HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        entry("llama.rope.dimension_count", UINT32, WIDTH // HEADS),
        entry("llama.vocab_size", UINT32, len(tokens)),
        entry("tokenizer.ggml.model", STRING, "gpt2"),
        entry("tokenizer.ggml.pre", STRING, "gpt-2"),
        array_entry("tokenizer.ggml.tokens", STRING, tokens),
        array_entry("tokenizer.ggml.token_type", INT32, types),
        # The loader wants merges; this one can never apply.
        array_entry("tokenizer.ggml.merges", STRING, ["\u0100 \u0100"]),
        entry("tokenizer.ggml.bos_token_id", UINT32, 256),
        entry("tokenizer.ggml.eos_token_id", UINT32, 258),
        entry("tokenizer.ggml.add_bos_token", BOOL, False),
        entry("tokenizer.chat_template", STRING, template(order)),
    ]


# --- weights ---


def noise(source, rows, columns):
    return [[source.gauss(0, 0.05) for _ in range(columns)] for _ in range(rows)]


def tensors(vocabulary):
    """Names and matrices; a vector is a matrix of one row."""
    source = random.Random(7)
    embedding, output = noise(source, vocabulary, WIDTH), noise(source, vocabulary, WIDTH)
    for token in range(vocabulary):
        embedding[token][0] = 4.0
        output[token][0] = 0.0 if 0x20 <= token < 0x7F else -100.0
    ones = [[1.0] * WIDTH]
    found = [("token_embd.weight", embedding), ("output_norm.weight", ones), ("output.weight", output)]
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        found += [(name + "attn_norm.weight", ones), (name + "ffn_norm.weight", ones)]
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found.append((f"{name}{part}.weight", noise(source, WIDTH, WIDTH)))
        found.append((name + "ffn_gate.weight", noise(source, FEED_FORWARD, WIDTH)))
        found.append((name + "ffn_up.weight", noise(source, FEED_FORWARD, WIDTH)))
        found.append((name + "ffn_down.weight", noise(source, WIDTH, FEED_FORWARD)))
    return found


def packed(matrix):
    numbers = array.array("f", [number for row in matrix for number in row])
    if sys.byteorder == "big":
        numbers.byteswap()
    data = numbers.tobytes()
    return data + b"\0" * (-len(data) % ALIGNMENT)


def shape(matrix):
    """The dimensions, innermost first, as GGUF counts them."""
    return [len(matrix[0])] if len(matrix) == 1 else [len(matrix[0]), len(matrix)]


def main():
    tokens = alphabet() + SPECIAL
    order = sys.argv[2] if len(sys.argv) > 2 else "system-first"
    entries, weights = metadata(tokens, order), tensors(len(tokens))
    head = [b"GGUF", struct.pack("<IQQ", 3, len(weights), len(entries)), *entries]
    offset, data = 0, []
    for name, matrix in weights:
        dimensions = shape(matrix)
        head.append(string(name) + struct.pack("<I", len(dimensions)))
        head.append(struct.pack(f"<{len(dimensions)}Q", *dimensions))
        head.append(struct.pack("<IQ", 0, offset))
        data.append(packed(matrix))
        offset += len(data[-1])
    head = b"".join(head)
    head += b"\0" * (-len(head) % ALIGNMENT)
    with open(sys.argv[1], "wb") as file:
        file.write(head + b"".join(data))


if __name__ == "__main__":
    main()
