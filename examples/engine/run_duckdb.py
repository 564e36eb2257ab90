#!/usr/bin/env python3
"""Runs a query over exports of one machine or of many, on this machine.

    pip install duckdb
    mkdir -p exports
    traces export --all --format parquet -o exports/laptop
    python3 run_duckdb.py slowest_models.sql exports/*
"""

import csv
import re
import sys
from pathlib import Path

import duckdb


def main(query, exports):
    sql = Path(query).read_text(encoding="utf-8")
    connection = duckdb.connect()
    table = re.search(r"^FROM (\w+)", sql, re.MULTILINE).group(1)
    # Not every export has rows of each table.
    files = [f"{export}/{table}/**/*.parquet" for export in exports if any(Path(export, table).rglob("*.parquet"))]
    if not files:
        sys.exit(f"no export has the table `{table}`")
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    # A model's name may look like a number: it is none.
    connection.execute(
        f"CREATE VIEW {table} AS SELECT * REPLACE (CAST(day AS DATE) AS day) FROM read_parquet("
        f"[{listed}], hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    )
    found = connection.sql(sql)
    print_csv(found.columns, found.fetchall())


def print_csv(columns, rows):
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(columns)
    out.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
