from __future__ import annotations

import socket

import pytest

from backend.errors import AddressNotAvailable, describe_ports
from backend.ports import candidates, listen_first_free


def test_the_port_asked_for_comes_first_then_its_stand_ins() -> None:
    assert candidates(8000) == list(range(8000, 8011))
    assert candidates(9000) == [9000, *range(8001, 8011)]


def test_a_stand_in_is_not_tried_twice() -> None:
    assert candidates(8005) == [8005, 8001, 8002, 8003, 8004, 8006, 8007, 8008, 8009, 8010]


def test_port_0_stands_for_any_free_one() -> None:
    assert candidates(0) == [0]
    with listen_first_free("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_the_socket_is_one_whose_answers_asyncio_sends_at_once() -> None:
    with listen_first_free("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_the_socket_listens_at_once() -> None:
    with listen_first_free("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        pass


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
def test_an_address_of_another_machine_is_no_taken_port(host: str) -> None:
    with pytest.raises(AddressNotAvailable, match=host):
        listen_first_free(host, 0)


def test_ports_are_described_as_ranges() -> None:
    assert describe_ports([8001, 8000, 8002]) == "Ports 8000–8002"
    assert describe_ports([9000, 8001, 8002]) == "Ports 8001–8002 and 9000"
