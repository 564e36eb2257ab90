#!/usr/bin/env python3
"""Run llama.cpp's own HTTP server on a model, until standard input ends.

    serve.py MODEL.gguf PORT SLOTS CACHE_MIB

CACHE_MIB is the main memory that keeps what leaves a slot; 0 for none.

Prints `ready` once it answers. Whoever starts it holds the other end of its standard
input, so that the server never outlives them.
"""

import sys

import xllamacpp

CONTEXT_TOKENS = 65536


def main():
    model, port, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"tiny-random"}
    parameters.n_ctx = CONTEXT_TOKENS * slots
    parameters.n_parallel = slots
    parameters.cache_ram_mib = int(sys.argv[4])
    parameters.cpuparams.n_threads = 2
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.offline = True
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    print("ready", flush=True)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main()
