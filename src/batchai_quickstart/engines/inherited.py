"""What a node's processes inherit of the service's own environment: no secrets, no Python setup."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

# A list of what is kept, not of what is dropped: a secret nobody thought of must not reach a job.
_KEPT = re.compile(
    r"HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TERMINFO"
    r"|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|DYLD_FALLBACK_LIBRARY_PATH"
    r"|(CUDA|CUDNN|NVIDIA|NCCL|OMP|GOMP|KMP|MKL|OPENBLAS|OMPI|HSA|ROCR|HIP)_\w+|CUDA"
    r"|(?i:https?_proxy|ftp_proxy|all_proxy|no_proxy)"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
).fullmatch
_SECRET = re.compile(r"(?i).*(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)").fullmatch

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def inherited(environ: Mapping[str, str], executable: str = sys.executable) -> dict[str, str]:
    """The base environment of a node.

    Arguments:
        environ: the service's environment.
        executable: the Python the service runs on; `python` on the node is found beside it.

    Returns:
        Where programs, libraries, temporary files and proxies are, locale and GPU settings;
        nothing that names a secret, and nothing that would make a job depend on how the service
        was started (PYTHONPATH, VIRTUAL_ENV).
    """
    kept = {name: value for name, value in environ.items() if _KEPT(name) and not _SECRET(name)}
    path = environ.get("PATH") or _DEFAULT_PATH
    if executable:
        path = f"{Path(executable).parent}:{path}"
    # GPU numbers then mean the same to CUDA as to the one who hands them out.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **kept, "PATH": path}
