"""What counts as the expected value, and as the expected output."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from selftrain.graders.code.compare_values import same_output, same_value


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (9, 9), (9, [9]), ([9], [9]), ((1, 2), [1, 2]), ([[1], (2,)], [[1], [2]]), (True, True), ("a", "a"),
        (0.1 + 0.2, 0.3), (3, 3.0), (3.0, 3), ({1: "a"}, {"1": "a"}), (None, None), ([], []), ([False], [False]),
        (1, True), (0, False), (1e22, 10**22), (range(1, 3), [1, 2]), (deque([1, 2]), [1, 2]), (Fraction(3), 3),
        (Decimal("0.30"), 0.3), (Fraction(1, 3), 0.333333333), (float("inf"), float("inf")), (10**15, 1e15),
    ],
)  # fmt: skip
def test_equal_values(found: Any, expected: Any) -> None:
    assert same_value(found, expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (9, 8), (8, [9]), ("9", 9), ([1, 2], [2, 1]), ([1], [1, 2]), (None, 0), (float("nan"), float("nan")),
        (float("inf"), 1e308), (float("nan"), 1.0), (10**400, 1.0), ({1: "a", 2: "b"}, {"1": "a"}), ({}, [1]),
        ("a", ["b"]), (1.1, 1), ([], [[]] * 2),
        # An integer is compared exactly, and so is a bool.
        (1000000008.0, 1000000007), (123456700.0, 123456789), (2.0**53, 2**53 + 1), (9e-7, 0), (3.0000001, 3),
        ([1000000008.0] * 2, [1000000007] * 2), (1000000008.0, [1000000007]), ({"a": 1.0000001}, {"a": 1}),
        (1.0000001, True), (-1e-7, False), (1.0, True), (2, True), ("True", True), (True, 1.0), (float("nan"), 0),
        ("1", 1), (1, "1"), (b"a", "a"), ({1, 2}, [1, 2]), ("ab", ["a", "b"]), (5, [[5]]),
    ],
)  # fmt: skip
def test_unequal_values(found: Any, expected: Any) -> None:
    assert not same_value(found, expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("1\n2\n", "1\n2"), ("1  2 \n", "1 2\n"), ("1\r\n2", "1\n2\n"), ("0.333333", "0.3333333"), ("3", "3.0"),
        ("", ""), ("\n\n", ""), ("Yes\n", "Yes"), ("1e-3", "0.001"),
    ],
)  # fmt: skip
def test_equal_output(found: str, expected: str) -> None:
    assert same_output(found, expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("1", "1\n2"), ("1\n2\n3", "1\n2"), ("1 2", "1\n2"), ("yes", "Yes"), ("nan", "1.5"), ("1e400", "1.5"),
        ("3.0", "3"), ("1\x00", "1"), ("1\u200b", "1"), ("2\n3\x1b[2K", "2\n3"), ("", "0"), ("0 1 2 3", "3"),
        ("\n1", "1"), ("1.5\u00a0", "1.5"), ("٣", "3.0"), ("1_0.0", "10.0"),
    ],
)  # fmt: skip
def test_unequal_output(found: str, expected: str) -> None:
    assert not same_output(found, expected)
