"""The command line: `selftrain COMMAND ...`, or `python -m selftrain COMMAND ...`."""

from __future__ import annotations

import sys

from selftrain.cli.main import run_cli


def main() -> int:
    try:
        return run_cli(sys.argv[1:])
    except KeyboardInterrupt:
        print("\nselftrain: interrupted; what was written stays readable", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough.
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
