"""The folder of graphs that are ready to run."""

import threading

from search.models.blobs import blob_folder


def test_a_blob_that_was_changed_is_deleted_and_one_as_recorded_is_kept(tmp_path):
    with blob_folder(tmp_path) as blobs:
        blobs.mkdir()
        (blobs / "kept.blob").write_bytes(b"as written")
        (blobs / "changed.blob").write_bytes(b"as written")
    (blobs / "changed.blob").write_bytes(b"with another length")
    (blobs / "foreign.blob").write_bytes(b"from elsewhere")
    with blob_folder(tmp_path) as blobs:
        assert [path.name for path in blobs.iterdir()] == ["kept.blob"]


def test_a_blob_that_is_being_written_is_left_alone(tmp_path):
    entered = threading.Event()

    def come_second():
        with blob_folder(tmp_path):
            entered.set()

    second = threading.Thread(target=come_second)
    with blob_folder(tmp_path) as blobs:
        blobs.mkdir()
        (blobs / "new.blob").write_bytes(b"half of")
        second.start()
        assert not entered.wait(0.2)
        assert (blobs / "new.blob").exists()
    second.join(10)
    assert entered.is_set()
    assert (blobs / "new.blob").exists()


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    with blob_folder(tmp_path / "absent") as blobs:
        assert blobs is None
