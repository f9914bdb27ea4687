"""How to ask the service: the one importer of `azure.mgmt`.

Thin functions over the published management clients, our models in and out. Batch AI goes through
`azure-mgmt-batchai`, and through its pipeline what that client lacks (long polls, get and delete of
file servers); resource groups and storage accounts go through theirs.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final
from urllib.parse import quote, urlencode

from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    map_error,
)
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.transport import HttpRequest
from azure.core.polling import LROPoller
from azure.mgmt.batchai import BatchAI
from azure.mgmt.core.exceptions import ARMErrorFormat
from azure.mgmt.core.polling.arm_polling import ARMPolling

from batchai_quickstart import models
from batchai_quickstart.client import longpoll
from batchai_quickstart.client.answers import AccountFacts, GroupFacts, Listing, M, Seen
from batchai_quickstart.client.connection import ServiceInfo, Settings
from batchai_quickstart.client.policies import Place, sending_options
from batchai_quickstart.client.translation import translating
from batchai_quickstart.errors import ConfigurationError
from batchai_quickstart.ids import (
    CLUSTER,
    EXPERIMENT,
    FILE_SERVER,
    JOB,
    WORKSPACE,
    Kind,
    ResourceId,
)

if TYPE_CHECKING:
    import requests
    from azure.mgmt.resource.resources import ResourceManagementClient
    from azure.mgmt.storage import StorageManagementClient

API_VERSION = "2018-05-01"

_OPERATIONS = {
    WORKSPACE: "workspaces",
    CLUSTER: "clusters",
    EXPERIMENT: "experiments",
    JOB: "jobs",
    FILE_SERVER: "file_servers",
}
_ERROR_MAP = {401: ClientAuthenticationError, 404: ResourceNotFoundError, 409: ResourceExistsError}
_SUBSCRIPTIONS_API = "2022-12-01"


@final
class Gateway:
    """The operations of one service and subscription; safe to use from several threads.

    Arguments:
        settings: endpoint, token and subscription.
        session: the HTTP session to send through.
        credential: an azure-core token credential; None: the token, else DefaultAzureCredential.
        locate: finds the embedded service again when it has gone; None for any other service.
    """

    def __init__(
        self,
        settings: Settings,
        session: "requests.Session",
        credential: Any = None,
        locate: Callable[[], ServiceInfo] | None = None,
    ) -> None:
        self.endpoint = settings.endpoint
        self._session = session
        self._place = Place(settings.endpoint, settings.token, locate)
        if credential is None and settings.token is None:
            from azure.identity import DefaultAzureCredential

            credential = DefaultAzureCredential()
        self._credential = credential
        self._resources: ResourceManagementClient | None = None
        self._accounts: StorageManagementClient | None = None
        self._subscription = settings.subscription_id
        self._batchai = self._client(BatchAI, settings.subscription_id or "")
        if self._subscription is None:
            self._subscription = self._only_subscription()
            self._batchai = self._client(BatchAI, self._subscription)

    @property
    def subscription_id(self) -> str:
        """The subscription of every call."""
        assert self._subscription is not None
        return self._subscription

    # --- Batch AI ---------------------------------------------------------------------------

    def create(self, resource: ResourceId, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """PUT a resource and return the representation; {} where the service said 202.

        A 202 means accepted: the resource can be read at once, so nothing is polled here. The
        body goes through the client's pipeline as it is: its own models would take it apart and
        put it together again, for a third of the time a submission takes.

        Arguments:
            resource: the id to create.
            body: the wire's request; None for an experiment, which has none.
        """
        with self._translating():
            response = self._send("PUT", str(resource), {}, {}, body=body, accepted=(200, 202))
            return dict(response.json()) if response.status_code == 200 else {}

    def get(
        self,
        resource: ResourceId,
        model: type[M],
        *,
        etag: str | None = None,
        wait: float | None = None,
    ) -> Seen[M] | None:
        """Read a resource; with `wait`, once it is no longer the version `etag`.

        Arguments:
            resource: the id to read.
            model: the class of its representation.
            etag: the version known already.
            wait: seconds the service may hold the answer, `longpoll.LONGEST` at most; None: now.

        Returns:
            What was seen; None if it still is the version `etag`.
        """
        with self._translating():
            if wait is None and resource.kind is not FILE_SERVER:
                get = self._operations(resource).get
                response = get(resource.group, *resource.names, cls=_raw)
            else:
                response = self._send("GET", str(resource), {}, longpoll.preference(wait, etag))
            if response.status_code == 304:
                return None
            return Seen(model.from_wire(response.json()), *longpoll.version(response.headers))

    def resources(self, parent: ResourceId | None, kind: Kind, model: type[M]) -> Iterator[M]:
        """Iterate over the resources of `kind` below `parent`, page by page.

        Arguments:
            parent: a workspace, an experiment, a resource group; None: the whole subscription.
            kind: what to list.
            model: the class of the representations.
        """
        operations = getattr(self._batchai, _OPERATIONS[kind])
        with self._translating():
            if parent is None:
                items = operations.list()
            elif parent.kind is None:
                items = operations.list_by_resource_group(parent.group)
            elif parent.kind is EXPERIMENT:
                items = operations.list_by_experiment(parent.group, *parent.names)
            else:
                items = operations.list_by_workspace(parent.group, *parent.names)
            for item in items:
                yield model.from_wire(item.serialize(keep_readonly=True))

    def update(self, resource: ResourceId, body: Mapping[str, Any], model: type[M]) -> M:
        """PATCH a workspace or cluster and return its representation."""
        with self._translating():
            update = self._operations(resource).update
            response = update(resource.group, *resource.names, dict(body), cls=_raw)
            return model.from_wire(response.json())

    def delete(self, resource: ResourceId, *, wait: bool = True) -> None:
        """Delete a resource with all below it; deleting what is not there is no error.

        Arguments:
            resource: the id to delete.
            wait: return when it is gone, not when the service has accepted.
        """
        polling = self._polling(str(resource)) if wait else False
        with self._translating():
            if resource.kind is FILE_SERVER:
                self._delete_file_server(resource, wait)
                return
            begin = self._operations(resource).begin_delete
            begin(resource.group, *resource.names, polling=polling).result()

    def _delete_file_server(self, resource: ResourceId, wait: bool) -> None:
        pipeline = self._batchai._client._pipeline  # noqa: SLF001 - the client has no public one
        url = f"{self.endpoint}{quote(str(resource))}?api-version={API_VERSION}"
        answer = pipeline.run(HttpRequest("DELETE", url))
        _accept(answer.http_response, (200, 202, 204))
        if wait:
            client = self._batchai._client  # noqa: SLF001 - what the generated methods poll with
            polling = self._polling(str(resource))
            LROPoller(client, answer, lambda _: None, polling).result()

    def terminate(self, job: ResourceId, *, wait: bool = True) -> None:
        """End a queued or running job; a finished one stays as it is."""
        polling = self._polling(str(job)) if wait else False
        with self._translating():
            self._batchai.jobs.begin_terminate(job.group, *job.names, polling=polling).result()

    def output_files(
        self,
        job: ResourceId,
        directory_id: str,
        path: str = ".",
        *,
        link_minutes: int = 60,
        etag: str | None = None,
        wait: float | None = None,
    ) -> Listing | None:
        """List one directory of a job's output, with a signed link for each file.

        Arguments:
            job: the job's id.
            directory_id: `stdouterr` or the id of an output directory.
            path: directory below it.
            link_minutes: life of the links, 5 to 600.
            etag: the listing known already.
            wait: seconds the service may hold the answer until the listing differs; None: now.

        Returns:
            The listing; None if it still is the one of `etag`.
        """
        query = {
            "outputdirectoryid": directory_id,
            "directory": path,
            "linkexpiryinminutes": str(link_minutes),
            "maxresults": "1000",
        }
        with self._translating():
            held = longpoll.preference(wait, etag)
            response = self._send("POST", f"{job}/listOutputFiles", query, held)
            if response.status_code == 304:
                return None
            version = longpoll.version(response.headers)
            files: list[models.File] = []
            page = response.json()
            while True:
                files += map(models.File.from_wire, page.get("value") or ())
                if not page.get("nextLink"):
                    return Listing(tuple(files), *version)
                page = self._send("GET", page["nextLink"], None, {}).json()

    def remote_login(self, resource: ResourceId) -> list[models.RemoteLoginInformation]:
        """List how to reach the nodes of a cluster or job by ssh."""
        with self._translating():
            items = self._operations(resource).list_remote_login_information(
                resource.group, *resource.names
            )
            read = models.RemoteLoginInformation.from_wire
            return [read(item.serialize(keep_readonly=True)) for item in items]

    # --- resource groups and storage accounts -----------------------------------------------

    def put_group(self, name: str, location: str, tags: Mapping[str, str]) -> GroupFacts:
        """Create a resource group, or change the tags of one."""
        with self._translating():
            body = {"location": location, "tags": dict(tags)}
            return _group(self._groups.create_or_update(name, body))

    def get_group(self, name: str) -> GroupFacts:
        """Read a resource group."""
        with self._translating():
            return _group(self._groups.get(name))

    def list_groups(self) -> Iterator[GroupFacts]:
        """Iterate over the resource groups of the subscription."""
        with self._translating():
            yield from map(_group, self._groups.list())

    def delete_group(self, name: str, *, wait: bool = True) -> None:
        """Delete a resource group and everything in it."""
        with self._translating():
            group = str(ResourceId(self.subscription_id, name))
            polling = self._polling(group) if wait else False
            self._groups.begin_delete(name, polling=polling).result()

    def put_account(
        self, account: ResourceId, location: str, tags: Mapping[str, str]
    ) -> AccountFacts:
        """Create a storage account and wait until it can be used."""
        body: Any = {
            "sku": {"name": "Standard_LRS"},
            "kind": "StorageV2",
            "location": location,
            "tags": dict(tags),
        }
        with self._translating():
            create = self._storage.begin_create
            return _account(create(account.group, account.name, body).result())

    def get_account(self, account: ResourceId) -> AccountFacts:
        """Read a storage account."""
        with self._translating():
            return _account(self._storage.get_properties(account.group, account.name))

    def list_accounts(self, group: str | None = None) -> Iterator[AccountFacts]:
        """Iterate over the storage accounts of a resource group; None: of the subscription."""
        with self._translating():
            list_all, list_group = self._storage.list, self._storage.list_by_resource_group
            yield from map(_account, list_all() if group is None else list_group(group))

    def account_keys(self, account: ResourceId) -> tuple[str, ...]:
        """Return the account's keys, base64; each of them is the whole power over the account."""
        with self._translating():
            answer = self._storage.list_keys(account.group, account.name)
            # Older generations call the list `keys`; in newer ones that is a method of mappings.
            keys = getattr(answer, "keys_property", None) or answer.keys
            return tuple(key.value for key in keys if key.value)

    def delete_account(self, account: ResourceId) -> None:
        """Delete a storage account with its shares and containers."""
        with self._translating():
            self._storage.delete(account.group, account.name)

    # --- the clients beneath -----------------------------------------------------------------

    @property
    def _groups(self) -> Any:
        if self._resources is None:
            from azure.mgmt.resource.resources import ResourceManagementClient

            self._resources = self._client(ResourceManagementClient, self.subscription_id)
        return self._resources.resource_groups

    @property
    def _storage(self) -> Any:
        if self._accounts is None:
            from azure.mgmt.storage import StorageManagementClient

            self._accounts = self._client(StorageManagementClient, self.subscription_id)
        return self._accounts.storage_accounts

    def _client(self, kind: Any, subscription: str) -> Any:
        # The clients insist on a credential; where a token is sent, they never look at it.
        credential = self._credential or self._place
        options = sending_options(self._session, self._place, has_token=self._credential is None)
        return kind(credential, subscription, self.endpoint, **options)

    def _operations(self, resource: ResourceId) -> Any:
        assert resource.kind is not None
        return getattr(self._batchai, _OPERATIONS[resource.kind])

    def _translating(self) -> Any:
        return translating(self._place.endpoint)

    def _send(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        *,
        body: Mapping[str, Any] | None = None,
        accepted: tuple[int, ...] = (200, 304),
    ) -> Any:
        """Send through the Batch AI client's pipeline; `query` None: `path` is a whole URL."""
        url = path
        if query is not None:
            query = {**query, "api-version": API_VERSION}
            url = f"{self.endpoint}{quote(path)}?{urlencode(query)}"
        request = HttpRequest(verb, url, headers={"Accept": "application/json", **headers})
        if body is not None:
            request.headers["Content-Type"] = "application/json"
            request.set_json_body(body)
        # The client's way in for calls it has no method for; public in later generations.
        response = self._batchai._send_request(request, stream=False)  # noqa: SLF001
        _accept(response, accepted)
        return _Raw(response)

    def _polling(self, path: str) -> "_WokenPolling":
        """How the end of an operation on the resource at `path` is awaited."""
        etag: str | None = None
        gone = False

        def changed() -> bool:
            nonlocal etag, gone
            if gone:
                return False
            try:
                response = self._send("GET", path, {}, longpoll.preference(longpoll.LONGEST, etag))
            except ResourceNotFoundError:
                gone = True
                return True
            known, pushed = longpoll.version(response.headers)
            etag = known or etag
            return pushed

        return _WokenPolling(changed)

    def _only_subscription(self) -> str:
        url = f"{self.endpoint}/subscriptions?api-version={_SUBSCRIPTIONS_API}"
        with self._translating():
            found = self._send("GET", url, None, {}).json().get("value", [])
        if len(found) != 1:
            names = ", ".join(str(item.get("subscriptionId")) for item in found) or "none"
            raise ConfigurationError(
                f"{self.endpoint} has {len(found)} subscriptions ({names}); choose one by "
                "BATCHAI_SUBSCRIPTION_ID or subscription_id="
            )
        return str(found[0]["subscriptionId"])


@final
class _WokenPolling(ARMPolling):
    """Asks for an operation's status as ARM has it, but when the resource has changed.

    Without long polls the pause is the one the service asks for.

    Arguments:
        changed: waits until the resource changed; False: the service does not hold long polls.
    """

    def __init__(self, changed: Callable[[], bool]) -> None:
        super().__init__(1)
        self._changed = changed

    def _delay(self) -> None:
        if not self._changed():
            super()._delay()


@final
class _Raw:
    """One face for the transports' two response classes: status, headers, JSON body."""

    def __init__(self, response: Any) -> None:
        self.status_code: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    def json(self) -> Any:
        """The body; raises DecodeError where it is none, as the generated methods do."""
        try:
            return json.loads(self._response.body())
        except ValueError as error:
            message = f"expected JSON, found {self._response.body()[:80]!r}"
            raise DecodeError(message=message, response=self._response) from error


def _raw(answer: PipelineResponse[Any, Any], *_: Any) -> _Raw:
    """Take the response itself, before the generated models lose what they do not know."""
    return _Raw(answer.http_response)


def _accept(response: Any, statuses: tuple[int, ...]) -> None:
    if response.status_code not in statuses:
        map_error(response.status_code, response, _ERROR_MAP)
        raise HttpResponseError(response=response, error_format=ARMErrorFormat)


def _group(item: Any) -> GroupFacts:
    state = item.properties.provisioning_state if item.properties else None
    return GroupFacts(item.name, item.location, dict(item.tags or {}), state or "")


def _account(item: Any) -> AccountFacts:
    endpoints = item.primary_endpoints
    return AccountFacts(
        item.name,
        ResourceId.parse(item.id).group,
        item.location or "",
        (endpoints.blob or "") if endpoints else "",
        (endpoints.file or "") if endpoints else "",
    )
