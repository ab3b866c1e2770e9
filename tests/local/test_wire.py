"""The wire, below boto3: paths, errors, connections, who may connect."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from covalent_braket_plugin.local.server.http_server import LoopbackServer
from tests.local.conftest import Lab


def send(
    lab: Lab, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Send one signed request; returns status, headers and parsed body."""
    data = json.dumps(body).encode() if body is not None else b""
    request = AWSRequest(method, f"{lab.endpoint_url}{path}", data=data)
    SigV4Auth(Credentials("a", "b"), "braket", "us-east-1").add_auth(request)
    signed = {**dict(request.headers), **{key.replace("_", "-"): v for key, v in headers.items()}}
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        line.request(method, path, data, signed)
        answer = line.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())


def test_an_unknown_route_is_a_json_404(lab: Lab) -> None:
    status, headers, body = send(lab, "GET", "/no/such/route")
    assert status == 404
    assert headers["Content-Type"] == "application/json"
    assert "message" in body


def test_an_arn_travels_as_one_encoded_segment(lab: Lab) -> None:
    arn = lab.run("end", parameters={"code": "0"})["jobArn"]
    assert send(lab, "GET", f"/job/{quote(arn, safe='')}")[0] == 200
    assert send(lab, "GET", f"/job/{arn}")[0] == 404


def test_errors_name_their_code_in_a_header_and_their_text_in_the_body(lab: Lab) -> None:
    arn = "arn:aws:braket:us-east-1:000000000000:job/none"
    status, headers, body = send(lab, "GET", f"/job/{quote(arn, safe='')}")
    assert status == 404
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert arn in body["message"]
    assert headers["x-amzn-requestid"]


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_a_bad_request(lab: Lab, data: bytes) -> None:
    request = AWSRequest("POST", f"{lab.endpoint_url}/jobs", data=data)
    SigV4Auth(Credentials("a", "b"), "braket", "us-east-1").add_auth(request)
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        line.request("POST", "/jobs", data, dict(request.headers))
        answer = line.getresponse()
        assert answer.status == 400
        assert answer.headers["x-amzn-errortype"] == "BadRequestException"


def test_times_travel_as_iso_8601_text(lab: Lab) -> None:
    arn = lab.run("end", parameters={"code": "0"})["jobArn"]
    _, _, body = send(lab, "GET", f"/job/{quote(arn, safe='')}")
    assert body["createdAt"].endswith("Z")
    assert len(body["createdAt"]) == len("2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.test"}, {"Host": "evil.test:80"}])
def test_web_pages_are_refused(lab: Lab, headers: dict[str, str]) -> None:
    assert send(lab, "POST", "/jobs", {"filters": []}, **headers)[0] == 403


def test_it_listens_on_loopback_only(lab: Lab) -> None:
    port = f"{lab.info['port']:04X}"
    sockets = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert {place for place in sockets if place.endswith(f":{port}")} >= {f"0100007F:{port}"}
    assert f"00000000:{port}" not in sockets
    six = Path("/proc/net/tcp6")
    assert not six.exists() or f":{port} " not in six.read_text().replace("\n", " \n")


def test_a_connection_serves_many_requests(lab: Lab) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        line.connect()
        first = line.sock
        for _ in range(3):
            line.request("GET", "/_local/health")
            assert json.load(line.getresponse())["status"] == "ok"
            assert line.sock is first


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(lab: Lab) -> None:
    with closing(socket.create_connection(("127.0.0.1", lab.info["port"]), timeout=10)) as line:
        line.sendall(
            b"POST /_local/faults HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 100")
        line.sendall(b"[]")
        assert line.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_body_in_chunks_is_put_together(lab: Lab) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        for _ in range(2):
            line.request(
                "POST",
                "/_local/faults",
                iter([b"[", b"]"]),
                encode_chunked=True,
                headers={"Transfer-Encoding": "chunked"},
            )
            answer = line.getresponse()
            assert answer.status == 200
            answer.read()


def test_malformed_requests_do_not_stop_the_server(lab: Lab) -> None:
    with closing(socket.create_connection(("127.0.0.1", lab.info["port"]), timeout=10)) as line:
        line.sendall(b"nonsense\r\n\r\n")
        line.recv(4096)
    assert lab.control("GET", "health")["status"] == "ok"


def unsigned(lab: Lab, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send one request without credentials."""
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        line.request(method, path, headers=named)
        answer = line.getresponse()
        return answer.status, dict(answer.headers), answer.read()


@pytest.mark.parametrize(("method", "path"), [("POST", "/job"), ("GET", "/device/x")])
def test_unsigned_braket_requests_are_refused(lab: Lab, method: str, path: str) -> None:
    status, headers, body = unsigned(lab, method, path)
    assert status == 403
    assert headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert "message" in json.loads(body)


@pytest.mark.parametrize("length", ["abc", "-1"])
def test_a_length_that_is_no_number_is_a_bad_request(lab: Lab, length: str) -> None:
    assert unsigned(lab, "POST", "/jobs", Content_Length=length)[0] == 400


def test_json_that_is_nested_too_deeply_is_a_bad_request(lab: Lab) -> None:
    data = b"[" * 200_000
    request = AWSRequest("POST", f"{lab.endpoint_url}/jobs", data=data)
    SigV4Auth(Credentials("a", "b"), "braket", "us-east-1").add_auth(request)
    with closing(http.client.HTTPConnection("127.0.0.1", lab.info["port"], timeout=10)) as line:
        line.request("POST", "/jobs", data, dict(request.headers))
        answer = line.getresponse()
        assert answer.status == 400
        assert answer.headers["x-amzn-errortype"] == "BadRequestException"


def test_a_failure_inside_is_answered_and_logged(lab: Lab) -> None:
    lab.put("tagged", "x")
    with pytest.raises(ClientError) as caught:
        lab.client("s3").put_object_tagging(
            Bucket=lab.info["bucket"], Key="tagged", Tagging={"TagSet": []}
        )
    assert caught.value.response["Error"]["Code"] == "InternalError"
    log = (lab.state_dir / "server.log").read_text()
    assert "s3:PutObjectTagging failed" in log
    assert "Traceback" in log


@pytest.mark.parametrize(
    ("after", "status", "begins"),
    [("", 500, b'{"message": "The local Braket failed: KeyError'), ("x", 200, b"x")],
)
def test_an_application_that_breaks_does_so_visibly(after: str, status: int, begins: bytes) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        if after:
            yield after.encode()
        raise KeyError("x")

    server = LoopbackServer(0, broken, lambda line: None)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as line:
            line.request("GET", "/")
            answer = line.getresponse()
            assert answer.status == status
            assert answer.read1(1000).startswith(begins)
            if after:
                with pytest.raises(http.client.IncompleteRead):
                    answer.read()
    finally:
        server.shutdown()
        server.server_close()


def test_large_objects_go_in_and_out_in_parts(lab: Lab, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(1 << 20) * 20)
    s3 = lab.client("s3")
    s3.upload_file(str(source), lab.info["bucket"], "large")
    s3.download_file(lab.info["bucket"], "large", str(target))
    assert source.read_bytes() == target.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_every_upload(lab: Lab, tmp_path: Path) -> None:
    def resident_megabytes() -> int:
        status = Path(f"/proc/{lab.info['pid']}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) // 1024

    source = tmp_path / "in"
    source.write_bytes(os.urandom(1 << 20) * 50)
    before = resident_megabytes()
    for _ in range(6):
        lab.client("s3").upload_file(str(source), lab.info["bucket"], "again")
        lab.client("s3").delete_object(Bucket=lab.info["bucket"], Key="again")
    assert resident_megabytes() - before < 200


def test_get_job_answers_within_five_milliseconds(lab: Lab) -> None:
    arn = lab.run("end", parameters={"code": "0"})["jobArn"]
    braket, times = lab.client("braket"), []
    for _ in range(50):
        began = time.perf_counter()
        braket.get_job(jobArn=arn)
        times.append(time.perf_counter() - began)
    # The best of the calls: others may use this machine too.
    assert min(times) < 0.005
    assert statistics.median(times) < 0.05


def test_the_other_services_are_there(lab: Lab) -> None:
    assert lab.client("sts").get_caller_identity()["Account"] == "000000000000"
    roles = lab.client("iam").list_roles(PathPrefix="/service-role/")["Roles"]
    assert lab.info["role_arn"] in [role["Arn"] for role in roles]
    buckets = lab.client("s3").list_buckets()["Buckets"]
    assert lab.info["bucket"] in [bucket["Name"] for bucket in buckets]
    for region in ("us-east-1", "eu-west-2"):
        repositories = lab.client("ecr", region).describe_repositories()["repositories"]
        names = [item["repositoryName"] for item in repositories]
        assert "amazon-braket-base-jobs" in names


def test_a_program_without_any_settings_but_the_endpoint_works(lab: Lab) -> None:
    program = "import boto3; print(len(boto3.client('s3').list_buckets()['Buckets']) > 0)"
    environment = {"PATH": os.environ["PATH"], **lab.environment()}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "True", done.stderr
