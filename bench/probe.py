"""One measurement by one adapter, in a process of its own: `probe.py MEASURE ADAPTER OPTIONS`.

Prints its samples as a line of JSON. OPTIONS is a JSON object. MEASURE `cold` is this process
itself: from the time `begun` its parent took before starting it, to the first line of a job.
MEASURE `blob.NAME` and `file.NAME` are those of storage.
"""

import json
import os
import sys
import time


def _adapter(name: str):
    if name == "ours":
        from ours import Ours

        return Ours()
    import peers

    return getattr(peers, name)()


def _cold(name: str, begun: float) -> dict[str, list[float]]:
    started = time.monotonic()
    with _adapter(name) as adapter:
        ready = time.monotonic()
        for _ in adapter.follow(adapter.submit(["/bin/sh", "-c", "echo hi"])):
            first = time.monotonic()
            break
    return {
        "total": [first - begun],
        "python": [started - begun],
        "service": [ready - started],
        "job": [first - ready],
    }


def main() -> None:
    measure, name, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    kind, dot, transfer = measure.partition(".")
    if measure == "cold":
        samples = _cold(name, **options)
    elif dot:
        import stores
        import transfers

        with stores.adapter(kind, name) as adapter:
            samples = getattr(transfers, transfer)(adapter, **options)
    else:
        import measures

        with _adapter(name) as adapter:
            samples = getattr(measures, measure)(adapter, **options)
    print(f"SAMPLES {json.dumps(samples)}", flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    if len(sys.argv) > 2 and sys.argv[2] in ("Dask", "Ray"):
        os._exit(0)  # their threads outlive their shutdown now and then
