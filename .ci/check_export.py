#!/usr/bin/env python3
"""Checks exports against the other verbs, sharing no code with the program.

    .ci/check_export.py --traces target/release/traces ROOT…

Of a timeline: every slice lies in the one around it, no two requests of a lane overlap,
ids and times are whole numbers, and the parts of each request add up to its time and are
those that `traces list` prints.

Of spans: OpenTelemetry's own messages parse each line and know every member of it, no id
occurs twice, and the span of each request is as long as it took. Needs opentelemetry-proto.
"""

import argparse
import base64
import json
import subprocess
from collections import defaultdict

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

PARTS = ["proxy", "load", "queue", "read", "write", "stall", "other"]


def run(traces, *arguments):
    done = subprocess.run([traces, *arguments], capture_output=True, check=False)
    assert done.returncode in (0, 3), (arguments, done.returncode, done.stderr.decode())
    return done.stdout


def whole(event, name):
    number = event[name]
    assert isinstance(number, int) and not isinstance(number, bool), (name, event)
    assert 0 <= number <= 2**53, (name, event)
    return number


def check_chrome(traces, root):
    timeline = json.loads(run(traces, "export", "--root", root, "--all", "--format", "chrome"))
    listed = [json.loads(line) for line in run(traces, "list", "--root", root, "--all", "--format", "ndjson").splitlines()]
    by_id = {request["id"]: request for request in listed}
    assert len(by_id) == len(listed)
    processes, lanes, tracks = {}, set(), defaultdict(list)
    for event in timeline["traceEvents"]:
        process, lane = whole(event, "pid"), whole(event, "tid")
        if event["ph"] == "M":
            if event["name"] == "process_name":
                assert process not in processes, event
                processes[process] = event["args"]["name"]
            else:
                assert (process, lane) not in lanes, event
                lanes.add((process, lane))
            continue
        whole(event, "ts")
        assert process in processes, event
        if event["ph"] == "X":
            assert (process, lane) in lanes, event
            tracks[process, lane].append((whole(event, "ts"), -whole(event, "dur"), event))
    slices = requests = 0
    for track in tracks.values():
        stack = []
        for begin, negative, event in sorted(track, key=lambda slice: slice[:2]):
            end = begin - negative
            while stack and stack[-1][0] <= begin and not (stack[-1][0] == begin == end and event["cat"] == "part"):
                stack.pop()
            assert not stack or end <= stack[-1][0], ("leaves the slice around it", event)
            assert (event["cat"] == "request") == (not stack), ("requests overlap, or a part is alone", event)
            if stack:
                stack[0][1][event["name"]] += event["dur"]
            else:
                parts = defaultdict(int)
                check_request(by_id[event["args"]["id"]], event)
                requests += 1
                event["parts"] = parts
                stack = [(end, parts)]
                slices -= 1
            if event["cat"] == "part":
                stack.append((end, stack[0][1]))
            slices += 1
        for _, _, event in track:
            if event["cat"] == "request":
                timing = by_id[event["args"]["id"]]["timing"]
                for part in PARTS:
                    expected = (timing[f"{part}_ms"] or 0) * 1000
                    assert event["parts"][part] == expected, (part, event, timing)
                known = [timing[f"{part}_ms"] for part in PARTS if timing[f"{part}_ms"] is not None]
                if known:
                    assert sum(event["parts"].values()) == event["dur"], event
    assert processes, "no process"
    return f"{requests} requests with {slices} parts in {len(processes)} processes"


def message(line):
    """A line as OpenTelemetry's message. Its JSON has ids in hexadecimal, where that of
    protobuf has base64; unknown members are errors."""
    document = json.loads(line)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
                for name in ("kind", *(["status"] if "status" in span else [])):
                    assert isinstance(span[name] if name == "kind" else span[name]["code"], int), span
                for name in ("startTimeUnixNano", "endTimeUnixNano"):
                    assert isinstance(span[name], str), span
    return json_format.ParseDict(document, TracesData())


def check_otlp(traces, root):
    lines = run(traces, "export", "--root", root, "--all", "--format", "otlp").splitlines()
    listed = [json.loads(line) for line in run(traces, "list", "--root", root, "--all", "--format", "ndjson").splitlines()]
    by_id = {request["id"]: request for request in listed}
    traces_seen, spans_seen, errors = set(), set(), 0
    for line in lines:
        [resource] = message(line).resource_spans
        [scope] = resource.scope_spans
        whole_span, *parts = scope.spans
        for span in scope.spans:
            assert len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.span_id), span
            assert span.trace_id == whole_span.trace_id and span.span_id not in spans_seen, span
            assert span.start_time_unix_nano <= span.end_time_unix_nano, span
            spans_seen.add(span.span_id)
        assert whole_span.trace_id not in traces_seen and whole_span.kind == Span.SPAN_KIND_CLIENT
        traces_seen.add(whole_span.trace_id)
        names = [attribute.key for attribute in whole_span.attributes]
        assert len(set(names)) == len(names), names
        attributes = {attribute.key: attribute.value for attribute in whole_span.attributes}
        request = by_id[attributes["traces.id"].string_value]
        timing = request["timing"] or {}
        took = next((timing[name] for name in ("wall_ms", "total_ms") if timing.get(name) is not None), 0)
        assert whole_span.end_time_unix_nano - whole_span.start_time_unix_nano == took * 10**6, (line, timing)
        for part in parts:
            assert part.parent_span_id == whole_span.span_id and part.kind == Span.SPAN_KIND_INTERNAL, part
            assert part.end_time_unix_nano - part.start_time_unix_nano == timing[f"{part.name}_ms"] * 10**6, part
            assert whole_span.start_time_unix_nano <= part.start_time_unix_nano, part
            assert part.end_time_unix_nano <= whole_span.end_time_unix_nano, part
        check_attributes(request, timing, attributes)
        errors += whole_span.status.code == Status.STATUS_CODE_ERROR
        assert (whole_span.status.code == Status.STATUS_CODE_ERROR) == ("error.type" in attributes), line
    assert len(lines) == sum(bool(r["timestamp"] or (r["timing"] or {}).get("start")) for r in listed)
    return f"{len(lines)} requests in {len(spans_seen)} spans, {errors} of them failed"


def check_attributes(request, timing, attributes):
    ttft = timing.get("ttft_ms")
    found = attributes.get("gen_ai.response.time_to_first_chunk")
    assert (found is None) == (ttft is None) and (ttft is None or found.double_value == ttft / 1000), request["id"]
    for name, member in (("gen_ai.response.model", "model"), ("gen_ai.conversation.id", "session")):
        found = attributes.get(name)
        assert (found.string_value if found else None) == request[member], (name, request["id"])
    cached = attributes.get("gen_ai.usage.cache_read.input_tokens")
    if timing.get("cached_source") in ("server_log", "reported"):
        assert cached.int_value == timing["cached_tokens"], request["id"]
    if cached:
        assert attributes["gen_ai.usage.input_tokens"].int_value >= cached.int_value, request["id"]


def check_request(request, event):
    timing = request["timing"]
    took = timing["wall_ms"] if timing["wall_ms"] is not None else timing["total_ms"]
    assert event["dur"] == took * 1000, (event, timing)
    for name, value in event["args"].items():
        expected = request.get(name, timing.get(name))
        if name == "confidence":
            expected = request["join"]["confidence"]
        assert value == expected, (name, value, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", required=True)
    parser.add_argument("roots", nargs="+")
    arguments = parser.parse_args()
    for root in arguments.roots:
        print(f"{root}: chrome: {check_chrome(arguments.traces, root)}")
        print(f"{root}: otlp: {check_otlp(arguments.traces, root)}")


if __name__ == "__main__":
    main()
