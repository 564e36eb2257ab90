"""llama.cpp's server with the tiny model, for the scripts beside this one."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_SECONDS = 600
# llama.cpp's default.
CACHE_MIB = 8192


class Server:
    """A running server; it ends when its standard input does."""

    def __init__(self, folder, slots=1, order="system-first", ram=False):
        model = os.path.join(folder, f"{order}.gguf")
        subprocess.run([sys.executable, os.path.join(HERE, "make_model.py"), model, order], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(os.path.join(folder, "server.log"), "w+", encoding="utf-8", errors="replace")
        command = [sys.executable, os.path.join(HERE, "serve.py"), model, str(port), str(slots), str(CACHE_MIB if ram else 0)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log}
        self.process = subprocess.Popen(command, text=True, **pipes)

    def __enter__(self):
        said = ""
        for line in self.process.stdout:
            said += line
            if line.strip() == "ready":
                break
        else:
            self.log.seek(0)
            raise SystemExit(f"the server did not start:\n{said}{self.log.read()}")
        with urllib.request.urlopen(f"{self.url}/health", timeout=60) as health:
            print("server:", self.url, health.read().decode().strip(), flush=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def post(self, path, body):
        """What the server answers to a body of JSON."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path}: {error}: {error.read().decode(errors='replace')}") from error
