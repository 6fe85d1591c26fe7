"""What Ray does only by private names: each in one function, so that a test fails when a new version moves it."""

from __future__ import annotations


def running_address() -> str:
    """Return the address of the cluster of this machine, as ``ray.init("auto")`` finds it, without connecting.

    A cluster that ended badly has left its address behind, at which `ray.init` would ask for minutes. No public
    function says which address it will take.

    Raises
    ------
    ConnectionError
        If there is none.
    """
    from ray._private.services import get_ray_address_from_environment

    return get_ray_address_from_environment("auto", None)


def silence_messages() -> None:
    """Keep what the cluster's nodes say of themselves, such as that one has died, from being printed among results.

    ``log_to_driver=False`` silences what workers print; for the messages of nodes Ray has no public switch.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False
