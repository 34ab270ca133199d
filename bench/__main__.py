"""`bin/bench`: measures Runbookweb against what the same costs without it, on a server that it starts itself."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.measures import FULL, MEASURES, QUICK
from bench.site import serving
from bench.table import Row, table


def main() -> None:
    options = _options()
    sizes = QUICK if options.quick else FULL
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, serving(Path(folder)) as site:
            for name in options.only:
                print(f"measuring: {name}", file=sys.stderr)
                rows.extend(MEASURES[name](site, sizes))
    except RuntimeError as problem:
        sys.exit(f"bin/bench: {problem}")
    finally:
        print(table(rows))  # one measure that fails does not take the others along
    if options.json:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--only", type=_names, default=list(MEASURES), help=f"some of: {','.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="in less than a minute")
    parser.add_argument("--json", type=_new_file, help="a file for the same figures, for programs")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in MEASURES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(MEASURES)}")
    return names


def _new_file(text: str) -> Path:
    """A file that can be written when all has been measured."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: give a file in a folder that is there")
    return path


if __name__ == "__main__":
    main()
