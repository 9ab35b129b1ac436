"""Importing selftrain and asking for help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "pyarrow", "duckdb", "sympy", "math_verify")


def loaded_by(code: str) -> set[str]:
    """Which heavy libraries a fresh Python has loaded after `code`."""
    script = f"import sys\n{code}\nprint('\\n'.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()) & set(HEAVY)


@pytest.mark.parametrize(
    "code",
    [
        "import selftrain",
        "import selftrain as s; s.RestEM(); s.TrainingConfig(); s.SelfTrainer; s.load_problems",
        "sys.argv = ['selftrain', '--help']; from selftrain.__main__ import main; main()",
        "from selftrain.cli.main import all_commands, run_cli\n"
        "for name in all_commands():\n"
        "  try: run_cli([name, '--help'])\n"
        "  except SystemExit: pass\n"
        "run_cli(['schema', 'pst'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_by(code) == set()


def test_every_public_name_is_there_and_every_section_is_public() -> None:
    import selftrain
    from selftrain.config import section_types

    assert all(getattr(selftrain, name) is not None for name in selftrain.__all__)
    assert {section.__name__ for section in section_types(selftrain.SelfTrainer).values()} <= {*selftrain.__all__}
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = selftrain.Nonsense
