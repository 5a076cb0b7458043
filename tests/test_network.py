import socket

import pytest
from pytest_socket import SocketConnectBlockedError


def test_no_test_reaches_the_network() -> None:
    """A connection to anywhere but this machine is refused before it is tried."""
    with (
        pytest.warns(UserWarning, match=r"192\.0\.2\.1"),
        pytest.raises(SocketConnectBlockedError),
        socket.socket() as one,
    ):
        one.connect(("192.0.2.1", 80))  # TEST-NET-1: documentation only, never routed


def test_this_machine_can_be_reached() -> None:
    """The browser tests talk to their driver, so the loopback stays open: a closed port answers for itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError), socket.socket() as one:
        one.connect(("127.0.0.1", port))
