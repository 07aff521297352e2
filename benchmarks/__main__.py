"""All measurements: ``python -m benchmarks``, short by default, ``--full`` for the record.

The full form puts the comparison of requests into ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import bridge, elasticsearch, request, startup
from benchmarks.table import Table, machine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--full", action="store_true", help="60 s runs, 1,000,000 records, three runs of requests"
    )
    parser.add_argument("--seconds", type=float, help="of each sustained run")
    parser.add_argument("--records", type=int, help="logs in the large store")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    given = parser.parse_args()
    seconds = given.seconds or (60 if given.full else 5)
    records = given.records or (1_000_000 if given.full else 100_000)
    print(machine())
    table = Table()
    startup.measure(table, 15 if given.full else 5)
    request.compare(table, full=given.full)
    bridge.measure(table, bridge.PARTS, seconds, records)
    if (lacking := elasticsearch.missing()) is None:
        elasticsearch.measure(
            table,
            elasticsearch.PARTS,
            rounds=7 if given.full else 2,
            documents=elasticsearch.ROUND_DOCUMENTS,
            seconds=seconds,
        )
    else:
        print(f"nothing of Elasticsearch: {lacking}")
    print("\n" + table.text())
    if given.json:
        given.json.write_text(table.json())
    return 0 if table.met else 1


if __name__ == "__main__":
    sys.exit(main())
