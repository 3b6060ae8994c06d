from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from broker_embedded.errors import KafkaStorageError
from broker_embedded.log import checkpoints
from broker_embedded.log.epochs import LeaderEpochs

ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


def test_offsets(tmp_path: Path) -> None:
    path = tmp_path / checkpoints.RECOVERY_POINTS
    assert checkpoints.read_offsets(path) == {}
    offsets = {("orders", 0): 42, ("__consumer_offsets", 49): 0}
    checkpoints.sync_offsets(path, offsets)
    assert path.read_text() == "0\n2\norders 0 42\n__consumer_offsets 49 0\n"
    assert checkpoints.read_offsets(path) == offsets
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "text", ["1\n0\n", "0\n1\na 0 12", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na 0 x\n", "0\n", "0\n1\na b c d\n"]
)
def test_not_a_checkpoint(tmp_path: Path, text: str) -> None:
    path = tmp_path / checkpoints.RECOVERY_POINTS
    path.write_text(text)
    with pytest.raises(KafkaStorageError, match=f"{path}: not a checkpoint file .* or remove it"):
        checkpoints.read_offsets(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / checkpoints.RECOVERY_POINTS
    path.write_bytes(b"0\n0\n\xff\xfe")
    with pytest.raises(KafkaStorageError, match="not a checkpoint file"):
        checkpoints.read_offsets(path)
    assert not checkpoints.is_partition_of(path, ID)


@pytest.mark.parametrize("content", [b"", bytes(20)])
def test_empty_files_count_as_missing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert checkpoints.read_offsets(path) == {}
    assert checkpoints.read_epochs(path) == []
    assert checkpoints.read_meta_properties(path) is None


def test_partition_metadata(tmp_path: Path) -> None:
    path = tmp_path / checkpoints.PARTITION_METADATA
    assert checkpoints.is_partition_of(path, ID)
    assert path.read_text() == "version: 0\ntopic_id: ABEiM0RVZneImaq7zN3u_w"
    assert checkpoints.is_partition_of(path, ID)
    assert not checkpoints.is_partition_of(path, uuid.UUID(int=1))
    text = path.read_bytes()
    for torn in (b"", text[:9], text[:30], text[:-1], text[:20] + bytes(10)):
        path.write_bytes(torn)
        assert checkpoints.is_partition_of(path, ID)
        assert path.read_bytes() == text


def test_meta_properties(tmp_path: Path) -> None:
    path = tmp_path / checkpoints.META_PROPERTIES
    assert checkpoints.read_meta_properties(path) is None
    meta = checkpoints.MetaProperties("5L6g3nShT-eMCtK--X86sw", 1, ID)
    checkpoints.sync_meta_properties(path, meta)
    assert path.read_text() == (
        "version=1\ncluster.id=5L6g3nShT-eMCtK--X86sw\nnode.id=1\ndirectory.id=ABEiM0RVZneImaq7zN3u_w\n"
    )
    path.write_text("#\n#Thu Aug 20 2026\n" + path.read_text())
    assert checkpoints.read_meta_properties(path) == meta
    path.write_text("version=1\nnode.id=1\n")
    with pytest.raises(KafkaStorageError, match=r"'cluster\.id' is missing"):
        checkpoints.read_meta_properties(path)


def test_clean_shutdown(tmp_path: Path) -> None:
    assert not checkpoints.sync_take_clean_shutdown(tmp_path)
    checkpoints.sync_clean_shutdown(tmp_path, 3)
    assert (tmp_path / ".kafka_cleanshutdown").read_text() == '{"version": 0, "brokerEpoch": 3}'
    assert checkpoints.sync_take_clean_shutdown(tmp_path)
    assert not checkpoints.sync_take_clean_shutdown(tmp_path)


EPOCHS = [(1, 0), (3, 10), (4, 10), (7, 25)]


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (-1, (-1, -1)),
        (0, (0, 0)),
        (1, (1, 10)),
        (2, (1, 10)),
        (3, (3, 10)),
        (4, (4, 25)),
        (6, (4, 25)),
        (7, (7, 99)),
        (8, (-1, -1)),
    ],
)
def test_end_offset_of_an_epoch(tmp_path: Path, epoch: int, expected: tuple[int, int]) -> None:
    assert LeaderEpochs(tmp_path / "file", EPOCHS).end_offset(epoch, 99) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda epochs: epochs.assign(7, 40), EPOCHS),
        (lambda epochs: epochs.assign(9, 40), [*EPOCHS, (9, 40)]),
        (lambda epochs: epochs.assign(9, 25), [(1, 0), (3, 10), (4, 10), (9, 25)]),
        (lambda epochs: epochs.truncate_end(24), [(1, 0), (3, 10), (4, 10)]),
        (lambda epochs: epochs.truncate_end(25), EPOCHS),
        (lambda epochs: epochs.truncate_start(0), EPOCHS),
        (lambda epochs: epochs.truncate_start(5), [(1, 5), (3, 10), (4, 10), (7, 25)]),
        (lambda epochs: epochs.truncate_start(12), [(4, 12), (7, 25)]),
        (lambda epochs: epochs.truncate_start(99), [(7, 99)]),
    ],
)
def test_epochs(tmp_path: Path, change: object, expected: list[tuple[int, int]]) -> None:
    epochs = LeaderEpochs(tmp_path / "file", list(EPOCHS))
    change(epochs)  # type: ignore[operator]
    assert epochs.entries == expected
    if expected != EPOCHS:
        assert LeaderEpochs.load(tmp_path / "file").entries == expected
