"""What can go wrong, in words that a user can act on."""


class ShaperError(Exception):
    """Base of all errors that this program tells its user, with the exit status that goes with it."""

    status = 1


class InvalidStateError(ShaperError):
    """The text of a desired state is wrong; the state before it stays in force."""

    status = 2


class KernelUnsupportedError(ShaperError):
    """The kernel lacks something or does not allow it."""


class AlreadyRunningError(ShaperError):
    """Another daemon runs in this network namespace already."""


class NotRunningError(ShaperError):
    """No daemon runs in this network namespace, or it does not answer in time."""

    status = 3
