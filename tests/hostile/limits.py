"""A limit on the time of the processor: what takes thousands of times as long as it should is seen on any machine."""

import contextlib
import signal


@contextlib.contextmanager
def processor_seconds(most):
    """Raise TimeoutError once this process has used so many seconds; what takes milliseconds never meets it."""

    def stop(*_):
        raise TimeoutError(f"over {most} s of the processor")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
