"""Vectors that are kept: the same as encoded again, no more of them than asked for, the oldest let go first."""

import numpy as np

from search.models.kept_vectors import KeptVectors


def lengths(texts):
    return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_what_was_encoded_lately_is_not_encoded_again():
    calls = []
    kept = KeptVectors(lambda texts: calls.append(texts) or lengths(texts), 3)
    assert kept(["a", "bb", "a"]).tolist() == [[1, 1], [2, 1], [1, 1]]
    assert kept(["ccc", "a"]).tolist() == [[3, 1], [1, 1]]
    # bb was used longest ago when dddd came.
    assert kept(["dddd"]).tolist() == [[4, 1]]
    assert kept(["a", "ccc", "bb"]).tolist() == [[1, 1], [3, 1], [2, 1]]
    assert calls == [["a", "bb"], ["ccc"], ["dddd"], ["bb"]]
    assert kept.texts_encoded == 5


def test_memory_is_taken_once_and_texts_are_not_kept():
    kept = KeptVectors(lengths, 20)
    kept(["first"])
    taken = kept._vectors
    assert taken is not None and taken.shape == (20, 2)
    for start in range(0, 60, 15):
        kept(["x" * number for number in range(start + 1, start + 16)])
    # More at once than are kept come back whole all the same.
    many = ["y" * number for number in range(1, 51)]
    assert (kept(many) == lengths(many)).all()
    assert kept._vectors is taken and len(kept._rows) == 20
    assert {len(key) for key in kept._rows} == {16}
