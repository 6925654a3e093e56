"""Processes that the application makes are no workers."""

import os
import socket
from signal import SIGKILL

import pytest

from processes import Process
from server import Server, read_all
from waiting import wait_until


@pytest.fixture(params=[(), ("--threads", "2")], ids=["sync", "threads"])
def server(gunid, request) -> Server:
    return gunid("forking:app", *request.param)


def test_signal_to_a_forked_process_is_its_own(server):
    worker = server.get("/pid").text
    assert server.get("/terminate").text == "-15"
    assert server.get("/pool").text == "[0, 1, 4, 9]"
    assert server.get("/pid").text == worker


def test_forked_process_that_exits_in_the_application_is_gone(server):
    worker = server.get("/pid").text
    assert server.get("/exit").text == "0"
    assert server.get("/pid").text == worker
    assert server.stop() == 0
    server.wait_gone()


def test_forked_process_that_returns_from_the_application_does_not_answer(server):
    worker = server.get("/pid").text
    assert server.get("/return").text == f"{worker} answers, parent"
    assert server.stop() == 0
    server.wait_gone()


def test_end_of_a_response_without_length_reaches_the_client(server):
    with server.socket() as client:
        client.sendall(b"GET /stay HTTP/1.0\r\n\r\n")
        response = read_all(client)
    os.kill(int(response.rpartition(b"\r\n\r\n")[2]), SIGKILL)


def refuses_connections(address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


def test_forked_process_does_not_keep_the_port(server):
    child = Process(int(server.get("/stay").text))
    with server.socket() as client:
        address = client.getpeername()
    server.signal(SIGKILL)
    server.wait_exit()
    # Of the others: a dying process closes its descriptors a little later than it loses its memory.
    wait_until(lambda: server.processes() == {child}, "all but the child to go")
    wait_until(lambda: refuses_connections(address), "the port to be free")
    assert child.is_alive
    os.kill(child.pid, SIGKILL)


def test_started_program_inherits_no_descriptor(server):
    # 3 is the directory that ls reads.
    assert server.get("/descriptors").text.split() == ["0", "1", "2", "3"]
