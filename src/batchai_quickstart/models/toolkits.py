"""Settings of the toolkits a job can run, and which of them a job has."""

from typing import Protocol

from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import AtLeast
from batchai_quickstart.models.enums import ToolType
from batchai_quickstart.models.names import wire_name


class CNTKsettings(Model):
    """A job of the Microsoft Cognitive Toolkit."""

    rules = (AtLeast(1, ("processCount",)),)

    language_type: str | None = None
    """`BrainScript` or `Python`; found from which path is given when absent."""
    config_file_path: str | None = None
    """BrainScript configuration to run."""
    python_script_file_path: str | None = None
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    command_line_args: str | None = None
    """Arguments of the script or configuration, as one line for bash."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""


class PyTorchSettings(Model):
    """A PyTorch job."""

    rules = (AtLeast(1, ("processCount",)),)

    python_script_file_path: str
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    command_line_args: str | None = None
    """Arguments of the script, as one line for bash."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""
    communication_backend: str | None = None
    """How the processes talk: `TCP`, `Gloo` or `MPI`, in any case."""


class TensorFlowSettings(Model):
    """A TensorFlow job: master, workers, parameter servers."""

    rules = (AtLeast(1, ("workerCount",)), AtLeast(0, ("parameterServerCount",)))

    python_script_file_path: str
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    master_command_line_args: str | None = None
    """Arguments of the master, as one line for bash."""
    worker_command_line_args: str | None = None
    """Arguments of each worker, as one line for bash."""
    parameter_server_command_line_args: str | None = None
    """Arguments of each parameter server, as one line for bash."""
    worker_count: int | None = None
    """Number of workers; one for each node when absent."""
    parameter_server_count: int | None = None
    """Number of parameter servers; one when absent and the job is distributed."""


class CaffeSettings(Model):
    """A Caffe job: a configuration or a Python script."""

    rules = (AtLeast(1, ("processCount",)),)

    config_file_path: str | None = None
    """Solver configuration to run, instead of a script."""
    python_script_file_path: str | None = None
    """Python script to run, instead of a configuration."""
    python_interpreter_path: str | None = None
    """Python interpreter to run the script with."""
    command_line_args: str | None = None
    """Arguments, as one line for bash."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""


class Caffe2Settings(Model):
    """A Caffe2 job."""

    python_script_file_path: str
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    command_line_args: str | None = None
    """Arguments of the script, as one line for bash."""


class ChainerSettings(Model):
    """A Chainer job."""

    rules = (AtLeast(1, ("processCount",)),)

    python_script_file_path: str
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    command_line_args: str | None = None
    """Arguments of the script, as one line for bash."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""


class HorovodSettings(Model):
    """A Horovod job."""

    rules = (AtLeast(1, ("processCount",)),)

    python_script_file_path: str
    """Python script to run."""
    python_interpreter_path: str | None = None
    """Python interpreter to run it with."""
    command_line_args: str | None = None
    """Arguments of the script, as one line for bash."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""


class CustomMpiSettings(Model):
    """A command that MPI starts as several processes."""

    rules = (AtLeast(1, ("processCount",)),)

    command_line: str
    """The command of each process, without `mpirun`."""
    process_count: int | None = None
    """Number of processes; one for each node when absent."""


class CustomToolkitSettings(Model):
    """A command on the job's first node."""

    command_line: str | None = None
    """The command, for bash."""


ATTRIBUTE_OF_TOOL: dict[ToolType, str] = {
    ToolType.CNTK: "cntk_settings",
    ToolType.PYTORCH: "py_torch_settings",
    ToolType.TENSORFLOW: "tensor_flow_settings",
    ToolType.CAFFE: "caffe_settings",
    ToolType.CAFFE2: "caffe2_settings",
    ToolType.CHAINER: "chainer_settings",
    ToolType.CUSTOM: "custom_toolkit_settings",
    ToolType.CUSTOMMPI: "custom_mpi_settings",
    ToolType.HOROVOD: "horovod_settings",
}
"""Toolkit -> the attribute of a job's properties that holds its settings."""

SETTINGS_NAMES: tuple[str, ...] = tuple(wire_name(name) for name in ATTRIBUTE_OF_TOOL.values())
"""The wire names of the settings objects, of which a job has exactly one."""


class HasToolkits(Protocol):
    """A job's properties, asked for or reported."""

    @property
    def cntk_settings(self) -> CNTKsettings | None: ...
    @property
    def py_torch_settings(self) -> PyTorchSettings | None: ...
    @property
    def tensor_flow_settings(self) -> TensorFlowSettings | None: ...
    @property
    def caffe_settings(self) -> CaffeSettings | None: ...
    @property
    def caffe2_settings(self) -> Caffe2Settings | None: ...
    @property
    def chainer_settings(self) -> ChainerSettings | None: ...
    @property
    def custom_toolkit_settings(self) -> CustomToolkitSettings | None: ...
    @property
    def custom_mpi_settings(self) -> CustomMpiSettings | None: ...
    @property
    def horovod_settings(self) -> HorovodSettings | None: ...


def tool_type(properties: HasToolkits) -> ToolType:
    """The toolkit of a job: the one whose settings it has.

    Raises:
        InvalidRequestError: there are none or several (code `InvalidToolkitSettings`).
    """
    found = [
        tool for tool, name in ATTRIBUTE_OF_TOOL.items() if getattr(properties, name) is not None
    ]
    if len(found) == 1:
        return found[0]
    names = [wire_name(ATTRIBUTE_OF_TOOL[tool]) for tool in found]
    raise InvalidRequestError(
        f"a job has exactly one of {', '.join(SETTINGS_NAMES)}; "
        f"found {' and '.join(names) if names else 'none'}.",
        code="InvalidToolkitSettings",
        target="properties",
    )
