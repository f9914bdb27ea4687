"""The service: ARM in front, a scheduler behind, plans in between.

| module | knows |
|---|---|
| `app`, `serve` | how the parts are put together, and the process they live in |
| `arm`, `requests`, `refusals` | paths, verbs, answers, what is said no with |
| `provision`, `removal`, `operations`, `outputs` | what a PUT, a DELETE, a 202 and a listing mean |
| `registry`, `secrets` | what exists, on disk |
| `scheduler`, `clusters`, `background` | what runs and waits, in memory |
| `plan`, `toolkits`, `environment`, `mounts`, `vmsizes` | from a job to its plan: pure |
"""
