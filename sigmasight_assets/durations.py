"""Times in words, for everything that tells how long something takes."""


def duration(seconds: float) -> str:
    """A time as people say it: seconds below two minutes, minutes below two hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
