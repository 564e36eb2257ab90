#!/usr/bin/env python3
"""Checks the tables of `traces export --format parquet`: the queries of examples/engine give
the same answers in DuckDB and in Spark, and those that other verbs give of the same requests.

    .ci/check_tables.py --traces target/release/traces ROOT

Names that are hard to put into a path, or into SQL, come out of both as they went in, but for those that
a folder cannot hold whole, and in Spark for what steers the eye.

Needs duckdb and pyspark, and Java for the latter.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

PROJECT = Path(__file__).parent.parent
ENGINE = PROJECT / "examples" / "engine"
SERVER_LOG = PROJECT / "testdata" / "server-logs" / "lm-studio-window.txt"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})
    assert done.returncode in (0, 3), (command, done.returncode, done.stderr[-3000:])
    return done.stdout


def query(script, name, *exports):
    printed = run(sys.executable, ENGINE / script, ENGINE / name, *exports)
    # Spark's start-up may say something before the headings.
    lines = printed.splitlines(keepends=True)
    return list(csv.DictReader(io.StringIO("".join(lines))))


def number(text):
    return int(text) if text else None


def p50(values):
    """By nearest rank, as the program has it; None without values."""
    values = sorted(value for value in values if value is not None)
    return values[(len(values) + 1) // 2 - 1] if values else None


def check_slowest_models(traces, root, rows):
    weeks = {row["week"] for row in rows}
    for week in weeks:
        until = date.fromisoformat(week) + timedelta(days=6)
        summary = json.loads(
            run(traces, "summary", "--root", root, "--since", week, "--until", until.isoformat(), "--format", "json")
        )
        expected = {
            group["name"]: (group["requests"], *((group.get(name) or {}).get("p50") for name in ("ttft_ms", "total_ms")))
            for group in summary["groups"]
            if group["name"] and not group["name"].startswith("unnamed, run ")
        }
        found = {
            row["model"]: (number(row["requests"]), number(row["ttft_ms_p50"]), number(row["total_ms_p50"]))
            for row in rows
            if row["week"] == week
        }
        assert found == expected, (week, found, expected)


def check_uncalled_tools(traces, root, rows):
    summary = json.loads(run(traces, "summary", "--root", root, "--all", "--format", "json"))
    costs = summary["price_list"]["tools"]
    expected = {(tool["server"] or "", tool["name"]) for tool in costs if not tool["called"]}
    assert {(row["server"], row["name"]) for row in rows} == expected, (rows, expected)
    assert expected and len(expected) < len(costs), "nothing to tell apart"
    requests = {tool["name"]: tool["requests"] for tool in summary["largest_tools"]}
    for row in rows:
        assert number(row["requests"]) == requests[row["name"]], row


def check_ttft_by_read_tokens(traces, root, rows):
    groups = defaultdict(list)
    for line in run(traces, "list", "--root", root, "--all", "--format", "ndjson").splitlines():
        request = json.loads(line)
        timing = request["timing"] or {}
        if None not in (request["model"], timing.get("read_tokens"), timing.get("ttft_ms")):
            groups[request["model"], timing["read_tokens"] // 1000 * 1000].append(timing["ttft_ms"])
    expected = {key: (len(times), p50(times)) for key, times in groups.items()}
    found = {
        (row["model"], number(row["read_tokens_from"])): (number(row["requests"]), number(row["ttft_ms_p50"]))
        for row in rows
    }
    assert found == expected and found, (found, expected)


def check_cache_breaks(traces, root, rows):
    prefix = json.loads(run(traces, "prefix", "--root", root, "--all", "--format", "json"))
    expected = {}
    for request in prefix["requests"]:
        broken = request["break"]
        if broken:
            sums = expected.setdefault(broken["cause"], [0, None, None, None])
            sums[0] += 1
            for at, name in enumerate(("lost_bytes", "lost_tokens", "lost_ms"), start=1):
                if broken[name] is not None:
                    sums[at] = (sums[at] or 0) + broken[name]
    names = ("breaks", "lost_bytes", "lost_tokens", "lost_ms")
    found = {row["cause"]: [number(row[name]) for name in names] for row in rows}
    assert found == expected and found, (found, expected)


CHECKS = {
    "slowest_models.sql": check_slowest_models,
    "uncalled_tools.sql": check_uncalled_tools,
    "ttft_by_read_tokens.sql": check_ttft_by_read_tokens,
    "cache_breaks.sql": check_cache_breaks,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", required=True)
    parser.add_argument("--without-spark", action="store_true")
    parser.add_argument("root")
    arguments = parser.parse_args()
    traces, root = str(Path(arguments.traces).resolve()), arguments.root
    assert set(CHECKS) == {file.name for file in ENGINE.glob("*.sql")}, "a query is not checked"
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "machine"
        run(traces, "export", "--root", root, "--all", "--format", "parquet", "-o", export)
        # Without bodies there are requests, but neither tools nor breaks.
        bare = Path(folder) / "bare"
        run(traces, "export", SERVER_LOG, "--format", "parquet", "-o", bare)
        # Whatever empties a table, no query may fail at the folder that is left.
        emptied = Path(folder) / "emptied"
        for table in ("requests", "tools", "breaks"):
            (emptied / table).mkdir(parents=True)
        for name, check in CHECKS.items():
            of_requests = "FROM requests" in (ENGINE / name).read_text()
            exports = [emptied, export] if of_requests else [emptied, bare, export]
            rows = query("run_duckdb.py", name, *exports)
            check(traces, root, rows)
            engines = "DuckDB"
            if not arguments.without_spark:
                spark = query("run_spark.py", name, *exports)
                assert spark == rows, (name, spark, rows)
                engines += " and Spark"
            print(f"{name}: {len(rows)} rows, the same in {engines} and in traces")
        check_names(traces, Path(folder), arguments.without_spark)
        check_undated(traces, Path(folder), arguments.without_spark)
        if not arguments.without_spark:
            check_where_they_lie(traces, root, Path(folder), export)


HARD_NAMES = [
    "a/b",
    "../../up",
    "..",
    "a=b",
    "100%",
    "a%2Fb",
    "1e5",
    "007",
    "true",
    "2025-11-16",
    "null",
    " padded ",
    "línea\n日本 😀",
    "\u001b[31mred\u001b]0;title\u0007",
    "=HYPERLINK(1)",
    "<script>alert(1)</script>",
    "'; DROP TABLE requests; --",
    'C:\\nul*?"|',
    "{a,b}[c]",
    "nul\0",
]
# A folder's name has at most 255 bytes: what is kept of a name that is longer.
LONG_NAMES = {"long/" * 200: "long/" * 28 + "long", "é" * 70_000: "é" * 100}
# What steers the eye is escaped in a folder's name. Spark takes each byte of it for a character.
STEERING_NAMES = ["\u202egpj.exe", "\u2066isolated\u2069", "zero\u200bwidth", "\u009b31mC1"]


def in_spark(name):
    return "".join(c.encode().decode("latin-1") if c in "\u202e\u2066\u2069\u200b\u009b" else c for c in name)


def check_names(traces, folder, without_spark):
    recording, export = folder / "names", folder / "named"
    recording.mkdir()
    names = [*HARD_NAMES, *LONG_NAMES, *STEERING_NAMES]
    for at, name in enumerate(names):
        tool = {"name": f"{name} {at}", "description": "", "input_schema": {}}
        body = {"model": name, "max_tokens": 2**53 + at, "tools": [tool], "messages": [{"role": "user", "content": str(at)}]}
        request = {"method": "POST", "url": "/v1/messages", "headers": {}, "body": body}
        trace = {"timestamp": f"2025-11-16T10:00:{at:02}.000Z", "mode": "claude", "request": request}
        (recording / f"{at}.json").write_text(json.dumps(trace), encoding="utf-8")
    listed = [json.loads(line) for line in run(traces, "list", recording, "--format", "ndjson").splitlines()]
    expected = [(LONG_NAMES.get(request["model"], request["model"]), str(request["max_tokens"])) for request in listed]
    assert sorted(request["model"] for request in listed) == sorted(names)
    run(traces, "export", recording, "--format", "parquet", "-o", export)
    questions = {
        "SELECT model, max_tokens\nFROM requests\n": expected,
        "SELECT model, name\nFROM tools\n": [(LONG_NAMES.get(name, name), f"{name} {at}") for at, name in enumerate(names)],
    }
    for at, (sql, answer) in enumerate(questions.items()):
        question = folder / f"names-{at}.sql"
        question.write_text(sql, encoding="utf-8")
        for script in ["run_duckdb.py"] if without_spark else ["run_duckdb.py", "run_spark.py"]:
            rows = sorted(tuple(row.values()) for row in query(script, question, export))
            seen = in_spark if script == "run_spark.py" else str
            wanted = sorted((seen(model), *others) for model, *others in answer)
            assert rows == wanted, (script, [pair for pair in zip(rows, wanted) if pair[0] != pair[1]] or (rows, wanted))
    print(f"{len(names)} names that are hard for a path: what each engine makes of them is as expected")


def check_undated(traces, folder, without_spark):
    """Requests of no known time come last, whatever an engine makes of null."""
    recording, export = folder / "half-dated", folder / "half-dated-tables"
    recording.mkdir()
    for name, stamp in (("a", {}), ("b", {"timestamp": "2025-11-16T10:00:00.000Z"})):
        tool = {"name": "t", "description": "", "input_schema": {}}
        body = {"model": name, "tools": [tool], "messages": [{"role": "user", "content": name}]}
        request = {"method": "POST", "url": "/v1/messages", "headers": {}, "body": body}
        (recording / f"{name}.json").write_text(json.dumps({**stamp, "mode": "claude", "request": request}))
    run(traces, "export", recording, "--format", "parquet", "-o", export)
    for script in ["run_duckdb.py"] if without_spark else ["run_duckdb.py", "run_spark.py"]:
        rows = query(script, "slowest_models.sql", export)
        assert [(row["week"], row["model"]) for row in rows] == [("2025-11-10", "b"), ("", "a")], (script, rows)


def check_where_they_lie(traces, root, folder, export):
    """The job on the workers finds what the program finds."""
    os.environ["PATH"] = f"{Path(traces).parent}{os.pathsep}{os.environ['PATH']}"
    out, unused = folder / "exports", folder / "unused"
    (unused / "traces").mkdir(parents=True)
    roots = [str(Path(root).resolve()), str(unused), str(folder / "missing")]
    for _ in ("first", "again"):
        printed = run(sys.executable, ENGINE / "parse_where_they_lie.py", out, *roots)
        assert printed.count("done  ") == 3 and printed.count("nothing is recorded") == 2, printed
    assert "passed over" in printed, printed
    name = "slowest_models.sql"
    assert query("run_spark.py", name, *out.iterdir()) == query("run_duckdb.py", name, export)
    print("parse_where_they_lie.py: the same tables, and nothing written twice")


if __name__ == "__main__":
    main()
