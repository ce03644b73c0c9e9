"""The client of a bucket: its credentials and retries, and what its errors are as an OSError."""

import errno
import logging
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import StoreError, UserError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger("rwsr")
_CLIENT: Any = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "10m"}
_S3_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY_TOKEN", "AWS_CONTAINER_CREDENTIALS")
_forked = False
_RETRY_S = timedelta(seconds=60)
_RETRY: Any = {
    "max_retries": 100,  # the time is what ends it
    "retry_timeout": _RETRY_S,
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=8), "base": 2},
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT, the path of a key file",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_METADATA = ("/latest/api/token", "/computeMetadata/")  # what a cloud's machine is asked for credentials, last


@cache
def client_of(bucket: str) -> "ObjectStore":
    """The client of `s3://bucket`; one in a process."""
    if _forked:
        raise StoreError(
            f"{bucket} was used before this process was forked, which its client does not survive; "
            "start DataLoader workers with multiprocessing_context='spawn'"
        )
    try:
        from obstore.store import from_url
    except ImportError:
        raise UserError(f"{bucket} needs the package obstore; install it with: pip install 'rwsr[objects]'") from None
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise UserError(f"AWS_ENDPOINT_URL={endpoint} is not a URL; write http:// or https:// before it")
    plain = {"allow_http": True} if endpoint.startswith("http://") else {}  # whoever names such a one means it
    _check_answers(endpoint)
    if bucket.startswith("s3://") and not any(name.startswith(_S3_CREDENTIALS) for name in os.environ):
        _log.warning("no AWS_ACCESS_KEY_ID is set; asking this machine's cloud for credentials")
    with as_os_error(bucket):
        return from_url(bucket, client_options=_CLIENT | plain, retry_config=_RETRY)


def _check_answers(endpoint: str) -> None:
    """Say so where nothing listens at an endpoint: the requests will wait for it in silence."""
    parts = urlsplit(endpoint)
    if not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), 5).close()
    except OSError as error:
        _log.warning(
            "no server answers at AWS_ENDPOINT_URL=%s (%s); trying for %d s", endpoint, error, _RETRY_S.total_seconds()
        )


def _after_fork() -> None:
    global _forked
    _forked = _forked or client_of.cache_info().currsize > 0
    client_of.cache_clear()


if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_after_fork)


def _said(error: Exception) -> str:
    """What the client says, on one line, without the document that the server sent and the client's own source."""
    text = str(error).split("\n\nDebug source")[0].split("<", maxsplit=1)[0]
    return " ".join(text.split()).rstrip(": ")[:300]


def _not_there(error: Exception, where: object) -> OSError:
    """A bucket that is missing is a mistake, never a file that is yet to be written."""
    if "NoSuchBucket" in str(error):
        return ConnectionError(errno.ENXIO, "there is no such bucket", str(where))
    return FileNotFoundError(errno.ENOENT, "there is no such object", str(where))


def _no_credentials(error: Exception) -> bool:
    return any(path in str(error) for path in _METADATA) or "Account must be specified" in str(error)


def _credentials(where: object) -> str:
    return _CREDENTIALS[str(where).partition("://")[0]]


@contextmanager
def as_os_error(where: object) -> Generator[None]:
    """What the client raises, as the OSError that the same trouble with a file would be."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except FileNotFoundError as error:
        raise _not_there(error, where) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        mend = f"the server refuses the credentials of the environment ({_credentials(where)})"
        raise PermissionError(errno.EACCES, f"{mend}: {_said(error)}", str(where)) from None
    except BaseError as error:
        if "NoSuchBucket" in str(error):
            raise _not_there(error, where) from None
        if _no_credentials(error):
            mend = f"there are no credentials in the environment; set {_credentials(where)}"
            raise PermissionError(errno.EACCES, mend, str(where)) from None
        raise ConnectionError(errno.EIO, f"the request failed ({_said(error)})", str(where)) from None
