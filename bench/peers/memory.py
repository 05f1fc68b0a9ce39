"""Resident memory of this process, in bytes, as Linux reports it; None elsewhere."""


def _status(field):
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def now():
    return _status("VmRSS")


def peak():
    """Highest since the start or the last `forget_peak`."""
    return _status("VmHWM")


def forget_peak():
    """Restarts the record of the peak, so that compilation and warm-up do not count."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass
