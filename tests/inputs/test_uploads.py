"""Local input data: read, refused or uploaded once per content; on a real local Braket."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covalent_braket_plugin import inputs
from covalent_braket_plugin.errors import NotFoundError, SettingError
from covalent_braket_plugin.inputs import contents, uploads
from covalent_braket_plugin.inputs.places import Place
from covalent_braket_plugin.inputs.progress import Progress
from tests.inputs.conftest import Bench

PUTS = ("PutObject", "UploadPart", "CopyObject")


def written(bench: Bench) -> int:
    return sum(bench.calls().get(name, 0) for name in PUTS)


def old(path: Path) -> Path:
    """As if it had been written long ago."""
    then = time.time() - 3600
    os.utime(path, (then, then))
    return path


def test_a_file_goes_to_s3_under_its_name_and_a_folder_as_it_is(bench: Bench) -> None:
    file = bench.file("one/h2.json", b"{}")
    bench.file("two/deep/b", b"bb")
    bench.file("two/a", b"a")
    data = {"one": str(file), "two": str(bench.place / "data/two")}
    one, two = inputs.bring(data, bench.target())
    assert (one.name, one.content_type, bench.read(one.uri)) == ("one", "application/json", b"{}")
    assert one.uri.endswith("/h2.json")
    assert two.uri.endswith(f"covalent/inputs/{two.content}/")
    assert bench.read(f"{two.uri}deep/b") == b"bb"
    marks = {f"covalent/inputs/{each.content}.done" for each in (one, two)}
    assert marks <= set(bench.left())
    assert len(bench.left()) == 5


def test_equal_content_is_uploaded_once_wherever_it_lies(bench: Bench) -> None:
    for folder in ("one", "two"):
        old(bench.file(f"{folder}/x/numbers", b"1 2 3"))
    first = inputs.bring({"c": str(bench.place / "data/one/x")}, bench.target())
    bench.server.reset_calls()
    again = inputs.bring({"c": str(bench.place / "data/two/x")}, bench.target())
    assert again == first
    assert bench.calls() == {"ListObjectsV2": 1}


def test_other_content_of_the_same_name_is_uploaded_beside_it(bench: Bench) -> None:
    file = bench.file("numbers", b"1 2 3")
    [first] = inputs.bring({"c": str(file)}, bench.target())
    file.write_bytes(b"1 2 4")  # of the same size, a moment later
    [second] = inputs.bring({"c": str(file)}, bench.target())
    assert bench.read(first.uri) == b"1 2 3"
    assert bench.read(second.uri) == b"1 2 4"


def test_what_is_encrypted_with_another_key_is_another_upload(bench: Bench) -> None:
    data = {"c": str(bench.file("numbers"))}
    key = "12345678-1234-1234-1234-123456789012"
    [plain] = inputs.bring(data, bench.target())
    [sealed] = inputs.bring(data, bench.target(kms_key_id=key))
    assert plain.uri != sealed.uri
    bucket, _, name = sealed.uri.removeprefix("s3://").partition("/")
    assert bench.s3.head_object(Bucket=bucket, Key=name)["SSEKMSKeyId"] == key


def test_many_electrons_at_once_upload_it_once(bench: Bench) -> None:
    data, target = {"c": str(bench.file("numbers", bytes(1000)))}, bench.target()
    bench.server.reset_calls()
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: inputs.bring(data, target), range(50)))
    assert len({each.uri for [each] in found}) == 1
    assert bench.calls() == {"ListObjectsV2": 1, "PutObject": 2}


def test_a_large_file_goes_in_parts_and_arrives_whole(bench: Bench) -> None:
    data = os.urandom(2 * uploads.PART_BYTES + 7)
    [channel] = inputs.bring({"c": str(bench.file("large", data))}, bench.target())
    assert bench.read(channel.uri) == data
    assert bench.calls()["UploadPart"] == 3


def test_an_upload_that_broke_off_is_begun_again(bench: Bench) -> None:
    for name in "abc":
        bench.file(f"all/{name}", name.encode())
    data = {"c": str(bench.place / "data/all")}
    [channel] = inputs.bring(data, bench.target())
    bench.s3.delete_object(Bucket=bench.bucket, Key=f"covalent/inputs/{channel.content}.done")
    bench.s3.put_object(
        Bucket=bench.bucket, Key=f"covalent/inputs/{channel.content}/b", Body=b"half"
    )
    inputs.bring(data, bench.target())
    assert bench.read(f"{channel.uri}b") == b"b"


def test_a_mark_without_all_its_data_means_nothing(bench: Bench) -> None:
    for name in "abc":
        bench.file(f"all/{name}", name.encode())
    data = {"c": str(bench.place / "data/all")}
    [channel] = inputs.bring(data, bench.target())
    bench.s3.delete_object(Bucket=bench.bucket, Key=f"covalent/inputs/{channel.content}/b")
    inputs.bring(data, bench.target())
    assert bench.read(f"{channel.uri}b") == b"b"


def test_old_content_is_renewed_in_s3_so_that_it_outlives_the_job(
    bench: Bench,
) -> None:
    data = {"c": str(bench.file("numbers", b"1 2 3"))}
    [channel] = inputs.bring(data, bench.target())
    bench.server.reset_calls()
    before = datetime.now(UTC)
    inputs.bring(data, bench.target(renewed_after=timedelta(0)))
    assert bench.calls()["CopyObject"] == 1
    assert bench.read(channel.uri) == b"1 2 3"
    key = channel.uri.partition(f"{bench.bucket}/")[2]
    written_at = bench.s3.head_object(Bucket=bench.bucket, Key=key)["LastModified"]
    assert written_at >= before - timedelta(seconds=1)


def test_a_file_that_changes_while_it_is_sent_is_read_again(bench: Bench) -> None:
    file = bench.file("log", b"first")
    content = contents.content_of(Place("c", str(file)))
    file.write_bytes(b"other")
    with pytest.raises(uploads.ChangedError, match="changed while it was uploaded"):
        uploads.ensure(bench.target(), content, lambda size: None)
    assert bench.left() == []
    [channel] = inputs.bring({"c": str(file)}, bench.target())
    assert bench.read(channel.uri) == b"other"


def test_a_file_that_does_not_stop_changing_is_refused(bench: Bench) -> None:
    file = bench.file("log", b"0")
    done = threading.Event()

    def write() -> None:
        with file.open("ab", buffering=0) as log:
            while not done.wait(0.001):
                log.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SettingError, match=r"input_data\['c'\].*3 times.*give a copy"):
            inputs.bring({"c": str(file)}, bench.target())
    finally:
        done.set()
        writer.join()
    assert not [key for key in bench.left() if key.endswith(".done")]


def test_an_upload_is_given_up_if_nobody_wants_it(bench: Bench) -> None:
    class UnwantedError(Exception):
        pass

    def stop(size: int) -> None:
        raise UnwantedError

    content = contents.content_of(Place("c", str(bench.file("large", bytes(1000)))))
    with pytest.raises(UnwantedError):
        uploads.ensure(bench.target(), content, stop)
    assert bench.left() == []


def test_progress_is_told_once_a_second() -> None:
    now, told = [0.0], list[str]()
    progress = Progress("Uploading", 3_000_000, told.append, lambda: now[0])
    for _ in range(3):
        now[0] += 0.6
        progress.heard(1_000_000)
    assert told == ["Uploading: 2.0 MB of 3.0 MB"]


def test_usual_bucket_is_created_for_the_first_data(bench: Bench) -> None:
    target = bench.target(bucket=f"{bench.bucket}-new", may_create=True)
    [channel] = inputs.bring({"c": str(bench.file("numbers"))}, target)
    assert bench.read(channel.uri) == b"data"


def test_a_named_bucket_that_is_not_there_is_not_created(bench: Bench) -> None:
    target = bench.target(bucket=f"{bench.bucket}-not")
    with pytest.raises(NotFoundError):
        inputs.bring({"c": str(bench.file("numbers"))}, target)


# --- the next attempt ------------------------------------------------------------------------


def test_what_s3_does_not_take_is_no_bucket_that_is_still_being_made(bench: Bench) -> None:
    content = contents.content_of(Place("c", str(bench.file("numbers"))))
    [file] = content.files
    # The local Braket's S3 answers 404 for such a key, although the bucket is there.
    odd = replace(content, files=(replace(file, found=replace(file.found, name="a\nb")),))
    with pytest.raises(NotFoundError) as refused:
        uploads.ensure(bench.target(may_create=True), odd, lambda size: None)
    assert not refused.value.transient


def test_another_attempt_has_the_same_data_although_the_file_has_changed(bench: Bench) -> None:
    file = bench.file("numbers", b"1 2 3")
    channels = inputs.bring({"c": str(file)}, bench.target())
    file.write_bytes(b"others")
    bench.server.reset_calls()
    inputs.bring_again(channels, {"c": str(file)}, bench.target())
    assert written(bench) == 0
    assert bench.read(channels[0].uri) == b"1 2 3"


def test_data_that_has_gone_from_s3_is_uploaded_again_for_another_attempt(bench: Bench) -> None:
    file = bench.file("numbers", b"1 2 3")
    channels = inputs.bring({"c": str(file)}, bench.target())
    for key in bench.left():
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    inputs.bring_again(channels, {"c": str(file)}, bench.target())
    assert bench.read(channels[0].uri) == b"1 2 3"


@pytest.mark.parametrize("fate", ["changed", "deleted"])
def test_another_attempt_without_its_data_is_refused(bench: Bench, fate: str) -> None:
    file = bench.file("numbers", b"1 2 3")
    channels = inputs.bring({"c": str(file)}, bench.target())
    for key in bench.left():
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    if fate == "changed":
        file.write_bytes(b"others")
    else:
        file.unlink()
    with pytest.raises(NotFoundError, match=r"'c'.*not in S3.*dispatch the workflow again"):
        inputs.bring_again(channels, {"c": str(file)}, bench.target())


# --- what is refused -------------------------------------------------------------------------


def socket_in(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: folder.rmdir(), "does not exist"),
    "empty": (lambda folder: None, "holds no file"),
    "empty folders": (lambda folder: (folder / "deep").mkdir(), "holds no file"),
    "broken link": (lambda folder: (folder / "a").symlink_to("nowhere"), "does not exist"),
    "link to a folder": (lambda folder: (folder / "a").symlink_to("/tmp"), "not followed"),
    "pipe": (lambda folder: os.mkfifo(folder / "a"), "neither a file nor a folder"),
    "socket": (socket_in, "neither a file nor a folder"),
    "line break": (lambda folder: (folder / "a\nb").touch(), "control character"),
    "not UTF-8": (lambda f: open(os.fsencode(f) + b"/\xff", "w").close(), "no UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_uploaded_is_refused_before_anything_is(
    bench: Bench, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bench.place / "folder"
    folder.mkdir()
    monkeypatch.chdir(bench.place)
    spoil, words = BAD[case]
    spoil(folder)
    with pytest.raises(SettingError, match=rf"input_data\['c'\].*{words}"):
        inputs.look({"c": str(folder)}, bench.target())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(bench: Bench) -> None:
    file = bench.file("secret")
    file.chmod(0)
    with pytest.raises(SettingError, match="cannot be read"):
        inputs.look({"c": str(file)}, bench.target())


def test_a_link_stands_for_the_file_that_it_leads_to(bench: Bench) -> None:
    bench.file("else/where", b"there")
    bench.file("folder/own")
    (bench.place / "data/folder/link").symlink_to(bench.place / "data/else/where")
    [channel] = inputs.bring({"c": str(bench.place / "data/folder")}, bench.target())
    assert bench.read(f"{channel.uri}link") == b"there"


def test_home_of_the_servers_user_may_be_written_as_a_tilde(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(bench.place))
    bench.file("numbers")
    [channel] = inputs.bring({"c": "~/data/numbers"}, bench.target())
    assert bench.read(channel.uri) == b"data"


# --- data in S3 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("data", "data/"),
        ("data/", "data/"),
        ("data/file.csv", "data/file.csv"),
        ("both", "both"),
        ("both/", "both/"),
        ("", ""),
    ],
)
def test_a_folder_in_s3_ends_with_a_slash_and_an_object_does_not(
    bench: Bench, given: str, got: str
) -> None:
    for key in ("data/file.csv", "data/file.csv.old", "data2/x", "both", "both/x"):
        bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"x")
    [channel] = inputs.bring({"c": f"s3://{bench.bucket}/{given}"}, bench.target())
    assert channel.uri == f"s3://{bench.bucket}/{got}"
    assert channel.content_type == ("text/csv" if got.endswith(".csv") else "")


def test_an_object_whose_key_begins_others_is_warned_of(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("one.csv", "two.csv", "two.csv.old"):
        bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"x")
    data = {key: f"s3://{bench.bucket}/{key}.csv" for key in ("one", "two")}
    inputs.look(data, bench.target())
    (line,) = [each.getMessage() for each in caplog.records if "Braket may bring" in each.msg]
    assert "input_data['two']" in line
    assert "two.csv.old too" in line


@pytest.mark.parametrize("key", ["dat", "nothing/", "marks"])
def test_what_is_not_in_s3_is_refused(bench: Bench, key: str) -> None:
    for name in ("data/file", "marks/", "marks/deep/"):
        bench.s3.put_object(Bucket=bench.bucket, Key=name, Body=b"")
    with pytest.raises(SettingError, match=r"there must be an object.*upload the data first"):
        inputs.look({"c": f"s3://{bench.bucket}/{key}"}, bench.target())


def test_a_bucket_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(SettingError, match=r"input_data\['c'\].*there is no bucket"):
        inputs.look({"c": f"s3://{bench.bucket}-not/data"}, bench.target())


def test_a_bucket_of_another_region_is_refused(bench: Bench) -> None:
    far = f"{bench.bucket}-far"
    s3 = bench.server.client("s3", "eu-west-2")
    s3.create_bucket(Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    s3.put_object(Bucket=far, Key="data", Body=b"x")
    with pytest.raises(SettingError, match=f"{far} is in eu-west-2.*Copy the data"):
        inputs.look({"c": f"s3://{far}/data"}, bench.target())


def test_data_that_may_not_be_looked_at_is_refused_with_what_to_allow(bench: Bench) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key="data", Body=b"x")
    refused = {"kind": "error", "code": "AccessDenied", "status": 403, "times": 0}
    bench.server.faults({"operation": "s3:ListObjectsV2", **refused})
    with pytest.raises(SettingError, match=r"Allow s3:ListBucket on arn:aws:s3:::amazon-braket-"):
        inputs.look({"c": f"s3://{bench.bucket}/data"}, bench.target())


def test_electrons_that_share_data_in_s3_ask_once(bench: Bench) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key="data/x", Body=b"x")
    target = replace(bench.target())
    bench.server.reset_calls()
    for _ in range(20):
        inputs.bring({"c": f"s3://{bench.bucket}/data/"}, target)
    assert bench.calls() == {"HeadBucket": 1, "ListObjectsV2": 1}
