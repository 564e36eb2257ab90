#!/usr/bin/env python3
"""Runs a query over exports of many machines, on a cluster.

    spark-submit run_spark.py slowest_models.sql s3a://traces/laptop s3a://traces/ci-7
    python3 run_spark.py slowest_models.sql exports/*          (pip install pyspark)
"""

import csv
import functools
import re
import sys
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col


def main(query, exports):
    sql = Path(query).read_text(encoding="utf-8")
    spark = (
        SparkSession.builder.appName(Path(query).stem)
        # A model's name may look like a number: it is none.
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    table = re.search(r"^FROM (\w+)", sql, re.MULTILINE).group(1)
    # Each export is a dataset of its own: Spark finds partitions below one root only.
    tables = [read_table(spark, f"{export}/{table}") for export in exports]
    read = [rows for rows in tables if rows is not None]
    if not read:
        sys.exit(f"no export has the table `{table}`")
    rows = functools.reduce(lambda a, b: DataFrame.unionByName(a, b, allowMissingColumns=True), read)
    rows.withColumn("day", col("day").cast("date")).createOrReplaceTempView(table)
    found = spark.sql(sql)
    print_csv(found.columns, found.collect())
    spark.stop()


def read_table(spark, folder):
    """The rows of an export; None where it has none of this table, and so no folder or file of it."""
    try:
        return spark.read.parquet(folder)
    except AnalysisException as error:
        if error.getCondition() not in ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA"):
            raise
        print(f"passed over {folder}: it has no files", file=sys.stderr)
        return None


def print_csv(columns, rows):
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(columns)
    out.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
