"""The shaper's errors, whose messages are for users."""


class ShaperError(Exception):
    """Base of all errors that the program reports, with its exit status."""

    status = 1


class InvalidStateError(ShaperError):
    """The text of a desired state is invalid; the previous state stays in force."""

    status = 2


class KernelUnsupportedError(ShaperError):
    """The kernel lacks or refuses something."""


class AlreadyRunningError(ShaperError):
    """A shaper runs in this network namespace already."""


class NotRunningError(ShaperError):
    """No shaper runs in this network namespace, or it does not reply in time."""

    status = 3
