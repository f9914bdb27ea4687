"""What a PUT or PATCH of each resource kind means: bodies in, records out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from batchai_quickstart import ids, models
from batchai_quickstart.errors import ConflictError, InvalidRequestError, NotFoundError
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service import mounts, plan, secrets
from batchai_quickstart.service.registry import Record, Registry, utcnow, wire_time
from batchai_quickstart.service.removal import is_deleting
from batchai_quickstart.service.scheduler import Scheduler
from batchai_quickstart.service.vmsizes import is_vm_size
from batchai_quickstart.storage.store import Store

_DEFAULT_IMAGE = {
    "publisher": "Canonical",
    "offer": "UbuntuServer",
    "sku": "16.04-LTS",
}


class Provisioner:
    """Creates and updates resources.

    Arguments:
        registry: where they are kept.
        scheduler: told of clusters and jobs.
        store: told of storage accounts.
    """

    def __init__(self, registry: Registry, scheduler: Scheduler, store: Store) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._store = store

    def group(self, id_: ResourceId, body: dict[str, Any]) -> tuple[Record, bool]:
        """Create or update a resource group; True when it is new."""
        _check_keys(body, {"location", "tags", "properties", "managedBy", "id", "name", "type"})
        location = _location(body)
        old = self._registry.get(id_)
        if old is not None:
            _not_deleting(old)
            if old.location != location:
                raise ConflictError(
                    f"Resource group {id_.name} exists in {old.location}; it cannot be created "
                    f"in {location}. Use that location or another name.",
                    code="InvalidResourceGroupLocation",
                )
            return self._registry.put(replace(old, tags=body.get("tags", old.tags))), False
        record = Record(id_, {"provisioningState": "Succeeded"}, location, body.get("tags"))
        return self._registry.put(record), True

    def workspace(self, id_: ResourceId, body: dict[str, Any]) -> Record:
        """Create a workspace; an existing one is returned unchanged but for its tags."""
        _location(body)
        parameters = models.WorkspaceCreateParameters.read(body)
        old = self._registry.get(id_)
        if old is None:
            return self._registry.put(
                Record(id_, _new_properties(), parameters.location, parameters.tags)
            )
        _not_deleting(old)
        if _region(old.location or "") != _region(parameters.location):
            raise ConflictError(
                f"Workspace {id_.name} exists in {old.location}; it cannot be created in "
                f"{parameters.location}. Use that location or another name.",
                code="InvalidResourceLocation",
            )
        if parameters.tags is None or parameters.tags == old.tags:
            return old
        return self._registry.put(replace(old, tags=parameters.tags))

    def update_workspace(self, record: Record, body: dict[str, Any]) -> Record:
        """Replace a workspace's tags."""
        parameters = models.WorkspaceUpdateParameters.read(body)
        _not_deleting(record)
        return self._registry.put(replace(record, tags=parameters.tags or {}))

    def experiment(self, id_: ResourceId) -> Record:
        """Create an experiment; an existing one is returned unchanged."""
        old = self._registry.get(id_)
        if old is not None:
            _not_deleting(old)
            return old
        return self._registry.put(Record(id_, _new_properties()))

    def cluster(self, id_: ResourceId, body: dict[str, Any]) -> tuple[Record, bool]:
        """Accept a new cluster; repeating an identical request is harmless. True: it is new."""
        parameters = models.ClusterCreateParameters.read(body)
        digest = _digest(parameters.to_wire(secrets=False))
        wanted = parameters.properties
        stored = secrets.of_mounts(wanted.node_setup.mount_volumes if wanted.node_setup else None)
        old = self._registry.get(id_)
        if old is not None:
            return self._same_request(old, digest, stored), False
        _check_cluster(wanted)
        sent = wanted.to_wire()
        now = wire_time(utcnow())
        machine = sent.get("virtualMachineConfiguration", {})
        image = {"version": "latest"} | machine.get("imageReference", _DEFAULT_IMAGE)
        properties: dict[str, Any] = {
            **_new_properties(),
            "allocationState": "resizing",
            "creationTime": now,
            "allocationStateTransitionTime": now,
            "vmSize": sent["vmSize"],
            "currentNodeCount": 0,
            "vmPriority": sent.get("vmPriority", "dedicated"),
            "scaleSettings": sent.get("scaleSettings")
            or {"manual": {"targetNodeCount": 0, "nodeDeallocationOption": "requeue"}},
            "virtualMachineConfiguration": {"imageReference": image},
            "userAccountSettings": sent["userAccountSettings"],
            **{key: sent[key] for key in ("nodeSetup", "subnet") if key in sent},
        }
        record = Record(id_, properties, private={"request": digest})
        return self._scheduler.create_cluster(record, stored), True

    def update_cluster(self, record: Record, body: dict[str, Any]) -> Record:
        """Change a cluster's scale settings."""
        parameters = models.ClusterUpdateParameters.read(body)
        _not_deleting(record)
        scale = parameters.properties.scale_settings
        if scale is None:
            return record
        _check_scale(scale)
        return self._scheduler.resize_cluster(record, scale.to_wire())

    def job(self, id_: ResourceId, body: dict[str, Any]) -> tuple[Record, bool]:
        """Accept a new job; repeating an identical request is harmless. True: it is new.

        Raises:
            NotFoundError: its cluster does not exist.
            ConflictError: another job of this name exists.
            InvalidRequestError: it can never run, with the reason.
        """
        parameters = models.JobCreateParameters.read(body)
        wanted = parameters.properties
        assert wanted.cluster is not None
        digest = _digest(parameters.to_wire(secrets=False))
        stored = secrets.of_job(wanted)
        old = self._registry.get(id_)
        if old is not None:
            return self._same_request(old, digest, stored), False
        cluster_id = ResourceId.parse(wanted.cluster.id)
        cluster = self._registry.get(cluster_id)
        if cluster is None or cluster_id.kind is not ids.CLUSTER:
            raise NotFoundError(
                f"The specified cluster {cluster_id.name} is not found: create it first, or "
                "name an existing one.",
                code="ClusterNotFound",
                target="properties.cluster.id",
            )
        _not_deleting(cluster)
        run = str(uuid4())
        names = id_.names
        segment = (
            f"{id_.subscription}/{id_.group}/workspaces/{names[0]}/experiments/{names[1]}"
            f"/jobs/{names[2]}/{run}"
        )
        cluster_mounts = (cluster.properties.get("nodeSetup") or {}).get("mountVolumes")
        plan.check(
            plan.Submission(
                id=id_,
                run=run,
                segment=segment,
                properties=wanted,
                cluster=cluster_id,
                cluster_mounts=models.MountVolumes.from_wire(cluster_mounts)
                if cluster_mounts
                else None,
            )
        )
        sent = wanted.to_wire()
        now = wire_time(utcnow())
        properties: dict[str, Any] = {
            "experimentName": names[1],
            "schedulingPriority": "normal",
            "jobOutputDirectoryPathSegment": segment,
            "toolType": str(models.tool_type(wanted)),
            "constraints": {"maxWallClockTime": "P7D"},
            **sent,
            "cluster": {"id": str(cluster_id)},
            "creationTime": now,
            "provisioningState": "succeeded",
            "provisioningStateTransitionTime": now,
            "executionState": "queued",
            "executionStateTransitionTime": now,
        }
        record = Record(id_, properties, private={"request": digest})
        return self._scheduler.submit(record, stored), True

    def storage_account(self, id_: ResourceId, body: dict[str, Any]) -> Record:
        """Create a storage account and its two keys; an existing one is returned."""
        location = _location(body)
        old = self._registry.get(id_)
        if old is not None:
            _not_deleting(old)
            return old
        if id_.name in self.account_names(id_.subscription):
            raise ConflictError(
                f"The storage account name {id_.name} is already taken: names are unique across "
                "all resource groups. Choose another one.",
                code="StorageAccountAlreadyTaken",
                target="name",
            )
        sku = body.get("sku") or {"name": "Standard_LRS"}
        properties = {
            "provisioningState": "Succeeded",
            "creationTime": wire_time(utcnow()),
            "primaryLocation": location,
            "statusOfPrimary": "available",
        }
        private = {"sku": {"tier": "Standard", **sku}, "kind": body.get("kind") or "StorageV2"}
        # The record first: a crash in between is made good at the next start.
        record = self._registry.put(
            Record(id_, properties, location, body.get("tags"), private=private)
        )
        self._store.create_account(id_.name)
        return record

    def account_names(self, subscription: str) -> set[str]:
        """Return the names of all storage accounts, which no other account may have."""
        records = self._registry.in_subscription(subscription, ids.STORAGE_ACCOUNT)
        return {record.id.name for record in records}

    def restore(self) -> None:
        """Make records and storage agree, where an earlier process ended between the two."""
        names = {record.id.name for record in self._registry.all(ids.STORAGE_ACCOUNT)}
        for name in names:
            self._store.create_account(name)
        for account in self._store.accounts():
            if account.name not in names:
                self._store.delete_account(account.name)

    def _same_request(self, old: Record, digest: str, stored: Mapping[str, str]) -> Record:
        """Return what is there when it was asked for with the same content and secrets."""
        _not_deleting(old)
        asked = (old.private or {}).get("request"), self._registry.secrets(old.id)
        if asked == (digest, dict(stored)):
            return old
        assert old.id.kind is not None
        noun = old.id.kind.noun
        raise ConflictError(
            f"The {noun.lower()} {old.id.name} exists already with other properties: delete it "
            "first, or use another name.",
            code=f"{noun}AlreadyExists",
            target=str(old.id),
        )


def _new_properties() -> dict[str, Any]:
    now = wire_time(utcnow())
    return {
        "provisioningState": "succeeded",
        "provisioningStateTransitionTime": now,
        "creationTime": now,
    }


def _check_keys(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise InvalidRequestError(
            f"Unknown properties: {', '.join(unknown)}. Known ones: {', '.join(sorted(known))}.",
            code="InvalidRequestContent",
            target=unknown[0],
        )


def _location(body: Mapping[str, Any]) -> str:
    location = body.get("location")
    if not isinstance(location, str) or not location:
        raise InvalidRequestError(
            "The location property is required for this definition, for example "
            '"location": "eastus".',
            code="LocationRequired",
            target="location",
        )
    return location


def _region(location: str) -> str:
    """`East US` and `eastus` are one region."""
    return location.replace(" ", "").lower()


def _digest(sent: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()


def _not_deleting(record: Record) -> None:
    if is_deleting(record):
        raise ConflictError(
            f"{record.id.name} is being deleted: wait until it is gone, then create it again."
        )


def _check_cluster(wanted: models.ClusterBaseProperties) -> None:
    if not is_vm_size(wanted.vm_size):
        raise InvalidRequestError(
            f"{wanted.vm_size!r} is no VM size: it reads like Standard_NC6 or Standard_D2_v2.",
            code="InvalidPropertyValue",
            target="properties.vmSize",
        )
    account = wanted.user_account_settings
    if account.admin_user_password is None and not account.admin_user_ssh_public_key:
        raise InvalidRequestError(
            "userAccountSettings needs adminUserSshPublicKey or adminUserPassword.",
            code="InvalidPropertyValue",
            target="properties.userAccountSettings",
        )
    if wanted.node_setup is not None and wanted.node_setup.setup_task is not None:
        raise InvalidRequestError(
            "nodeSetup.setupTask is not run by this service yet: remove it, and prepare each "
            "job with jobPreparation instead.",
            code="NotSupported",
            target="properties.nodeSetup.setupTask",
        )
    if wanted.node_setup is not None:
        mounts.read_mounts(wanted.node_setup.mount_volumes, "properties.nodeSetup.mountVolumes")
    if wanted.scale_settings is not None:
        _check_scale(wanted.scale_settings)


def _check_scale(scale: models.ScaleSettings) -> None:
    if scale.manual is None:
        raise InvalidRequestError(
            "scaleSettings.autoScale is not run by this service yet: give "
            'scaleSettings.manual, for example {"manual": {"targetNodeCount": 1}}.',
            code="NotSupported",
            target="properties.scaleSettings.autoScale",
        )
    if not 0 <= scale.manual.target_node_count <= _MAX_NODES:
        raise InvalidRequestError(
            f"targetNodeCount must be from 0 to {_MAX_NODES}; found "
            f"{scale.manual.target_node_count}.",
            code="InvalidPropertyValue",
            target="properties.scaleSettings.manual.targetNodeCount",
        )


_MAX_NODES = 100
"""Nodes a cluster may have: the limit Azure Batch AI documented."""
