#!/usr/bin/env python3
"""Sends exported spans through a real collector of OpenTelemetry: it takes every line, and
what it passes on is what was sent, span by span.

    .ci/check_collector.py --traces target/release/traces ROOT…

Needs opentelemetry-proto, and rotel for the collector.
"""

import argparse
import gzip
import http.server
import json
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from socket import create_server

import rotel
from check_export import message, run
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

COLLECTOR = Path(rotel.__file__).parent / "rotel-agent"
PATIENCE_S = 60


class Backend(http.server.ThreadingHTTPServer):
    """Where the collector sends what it took."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with create_server(("127.0.0.1", 0)) as socket:
        return socket.getsockname()[1]


@contextmanager
def collector(backend):
    """A collector that passes on to the backend; the address at which it takes spans."""
    port = free_port()
    command = [COLLECTOR, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--exporter", "otlp"]
    command += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{backend.server_port}", "--otlp-exporter-protocol", "http"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/v1/traces"
    finally:
        # What it still holds is passed on before it ends.
        running.terminate()
        running.wait(PATIENCE_S)


def send(address, line):
    request = urllib.request.Request(address, data=line, headers={"content-type": "application/json"})
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError((error.code, error.read(), line)) from error
        except urllib.error.URLError:
            # It has just been started.
            assert time.monotonic() < give_up, "the collector does not listen"
            time.sleep(0.1)


def spans(messages):
    """Each span with what it is said to come from, in an order of its own."""
    each = (
        (span.SerializeToString(deterministic=True), resource.resource.attributes, scope.scope.name, resource.schema_url)
        for message in messages
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )
    return sorted((span, str(attributes), name, schema) for span, attributes, name, schema in each)


def check(traces, root):
    lines = run(traces, "export", "--root", root, "--all", "--format", "otlp").splitlines()
    backend = Backend()
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    with collector(backend) as address:
        for line in lines:
            refused = send(address, line).get("partialSuccess") or {}
            assert not refused.get("rejectedSpans"), (refused, line)
    backend.shutdown()
    sent, passed_on = spans(map(message, lines)), spans(backend.received)
    assert passed_on == sent, (len(passed_on), len(sent), next((pair for pair in zip(sent, passed_on) if pair[0] != pair[1]), None))
    return f"{len(lines)} lines taken, {len(passed_on)} spans passed on as they were"


def write_hostile(root):
    """Requests with the largest numbers and with names that try to steer."""
    names = ["\u001b[31m\u202e", "<script>", "\u0000\uffff", "é" * 100_000, "", '"}]}\n{']
    for at, name in enumerate(names):
        number = 2**64 - 1 if at % 2 else 2**63 - 1
        tools = [{"name": name, "input_schema": {}}]
        body = {"model": name, "max_tokens": number, "tools": tools, "messages": [{"role": "user", "content": name}]}
        usage = {name: number for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")}
        response = {"statusCode": number, "body": {"usage": usage, "stop_reason": name}}
        request = {"method": "POST", "url": f"/v1/messages/{at}", "headers": {}, "body": body}
        trace = {"timestamp": f"2025-11-16T10:00:{at:02}.000Z", "mode": "claude", "request": request, "response": response}
        (root / "traces").mkdir(exist_ok=True)
        (root / "traces" / f"{at}.json").write_text(json.dumps(trace), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", required=True)
    parser.add_argument("roots", nargs="+")
    arguments = parser.parse_args()
    for root in arguments.roots:
        print(f"{root}: {check(arguments.traces, root)}")
    with tempfile.TemporaryDirectory() as root:
        write_hostile(Path(root))
        print(f"hostile: {check(arguments.traces, root)}")


if __name__ == "__main__":
    main()
