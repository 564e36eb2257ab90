#!/usr/bin/env python3
"""Write the test corpus, byte for byte the same every time.

    python3 testdata/generate.py           write everything
    python3 testdata/generate.py --check   exit 1 where a file differs, is missing or is left over

`home/` is a user's home after a few days of work with the proxy, `where-time-goes/` a home for each
way in which time is lost, `served/` one with the log of the server that ran its model,
`server-logs/` such logs alone, `recorders/` what other recorders write, `claude-code/` recordings that Claude Code makes of itself, `damaged/`
holds files that must be skipped (`EXPECTED.tsv` says why),
`odd/` holds files that must be accepted.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True

import corpus_claude
import corpus_claude_code
import corpus_faults
import corpus_recorders
import corpus_runs
import corpus_served
import corpus_server_logs
import corpus_times

HERE = Path(__file__).resolve().parent
FOLDERS = ("home", "where-time-goes", "served", "server-logs", "recorders", "claude-code", "damaged", "odd")


def corpus():
    """All files of the corpus: {path below this folder: bytes}."""
    files = {}
    for name, text in corpus_claude.claude_traces():
        files[f"home/.anyclaude/traces/claude/{name}"] = text.encode("utf-8")
    for name, text in corpus_runs.all_files():
        assert f"home/{name}" not in files, name
        files[f"home/{name}"] = text.encode("utf-8")
    for name, text in corpus_times.all_files():
        files[f"where-time-goes/{name}"] = text.encode("utf-8")
    for name, text in corpus_served.all_files():
        files[f"served/{name}"] = text.encode("utf-8")
    for name, text in corpus_recorders.all_files():
        files[f"recorders/{name}"] = text.encode("utf-8")
    for name, text in corpus_server_logs.all_files():
        files[f"server-logs/{name}"] = text.encode("utf-8")
    for name, text in corpus_claude_code.all_files():
        files[f"claude-code/{name}"] = text.encode("utf-8")
    expected = []
    for name, reason, data in corpus_faults.damaged():
        files[f"damaged/{name}.json"] = data
        expected.append(f"{name}.json\t{reason}\n")
    files["damaged/EXPECTED.tsv"] = "".join(sorted(expected)).encode("utf-8")
    for name, data in corpus_faults.odd():
        files[f"odd/{name}.json"] = data
    return files


def present():
    """What is there now."""
    found = (path for folder in FOLDERS for path in (HERE / folder).rglob("*") if path.is_file())
    return {path.relative_to(HERE).as_posix() for path in found}


def differences(files):
    """The names of all files that are not as they should be."""
    names = sorted(present() | set(files))
    return [name for name in names if name not in files or not (HERE / name).is_file() or (HERE / name).read_bytes() != files[name]]


def main():
    files = corpus()
    changed = differences(files)
    for name in changed:
        print(name)
        if "--check" in sys.argv[1:]:
            continue
        path = HERE / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        else:
            path.unlink()
    total = sum(map(len, files.values()))
    print(f"{len(files)} files, {total} bytes, {len(changed)} {'differ' if '--check' in sys.argv[1:] else 'written'}")
    return 1 if changed and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
