#!/usr/bin/env python3
"""Exports many recordings at once: each task of a Spark job runs `traces export` on its share
of the paths, so that only tables leave the workers.

    spark-submit parse_where_they_lie.py /mnt/exports /mnt/home/*/.anyclaude
    spark-submit run_spark.py slowest_models.sql /mnt/exports/*

`traces` must be in the PATH of the workers. Spark gives a task to any of them: the folders must
be there under the same names on each, as with a shared drive. Where each machine has a disk of
its own, run `traces export` there, and ask the exports together. Run it every night: days that
an export holds whole are passed over.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

PATHS_PER_TASK = 8


def is_recorded(root):
    """Whether a root holds any recording: one that was never used is no failure."""
    return any(file.is_file() for file in Path(root, "traces").rglob("*"))


def export_each(out):
    """What a task does with its share of the paths."""

    def export(paths):
        for path in paths:
            if not is_recorded(path):
                yield path, True, "nothing is recorded there"
                continue
            # A name that is the same every night, and another one for each recording.
            folder = Path(out, hashlib.sha256(path.encode()).hexdigest()[:16])
            command = ["traces", "export", "--root", path, "--all"]
            command += ["--format", "parquet", "-o", str(folder), "--append"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            # 3: done, but some files were skipped.
            yield path, done.returncode in (0, 3), done.stderr.strip()

    return export


def main(out, paths):
    Path(out).mkdir(parents=True, exist_ok=True)
    spark = SparkSession.builder.appName("traces export").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    tasks = max(1, len(paths) // PATHS_PER_TASK)
    results = spark.sparkContext.parallelize(sorted(paths), tasks).mapPartitions(export_each(out)).collect()
    for path, is_done, said in results:
        print(f"{'done' if is_done else 'FAILED'}  {path}: {said}")
    spark.stop()
    return 0 if all(is_done for _, is_done, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
