"""Holds the participant's ledger against the end of a saga. Knows nothing of proxies and shares no code with the engine."""


def wrong(status, effects, steps):
    """What is wrong with an end, in words; None if nothing is.

    `effects`: (step, whether it was undone) of everything that was done. `steps`: the steps that have an effect when the saga
    completes. A saga that has not ended is not judged: it claims nothing.
    """
    standing = sorted(step for step, undone in effects if not undone)
    if len(set(standing)) < len(standing):
        return f"done twice: {', '.join(standing)}"
    if status == "COMPLETED":
        missing = sorted(set(steps) - set(standing))
        return f"completed, and not done: {', '.join(missing)}" if missing else None
    if status == "FAILED":
        return f"failed, and done: {', '.join(standing)}" if standing else None
    return None if status in ("RUNNING", "COMPENSATING", "SUSPENDED") else f"it ended {status}"
