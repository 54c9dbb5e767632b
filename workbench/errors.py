"""Every error a user can meet. Each message says what happened, with the values, and what to do.

WorkbenchError
├── RecipeError      a knob has a value that cannot work
├── CorpusError      rows that cannot be read, or none that can be used
├── ModelError       a base model that is missing, unsafe or unsuitable
├── AdapterError     an adapter that is missing, unfinished or of another base
├── LabError         the lab's folder or database cannot do what was asked
│   ├── NotFound     no run, comparison or corpus of that name
│   └── DiskFull     not enough room to save; what was saved before is intact
├── RunFailed        a run that was waited for ended badly; carries the reason
├── Unhealthy        the figures of a run show that nothing it learns could be trusted
├── OutOfMemory      the device is too small for the recipe
└── PortBusy         another program listens where the app wants to
"""


class WorkbenchError(Exception):
    """Something a user can mend; the text is fit to be shown as it is."""


class RecipeError(WorkbenchError):
    """A knob has a value that cannot work."""


class CorpusError(WorkbenchError):
    """Rows that cannot be read, or none that can be used."""


class ModelError(WorkbenchError):
    """A base model that is missing, unsafe or unsuitable."""


class AdapterError(WorkbenchError):
    """An adapter that is missing, unfinished or made for another base."""


class LabError(WorkbenchError):
    """The lab's folder or database cannot do what was asked."""


class NotFound(LabError):
    """No run, comparison or corpus of that name."""


class DiskFull(LabError):
    """Not enough room to save; what was saved before is intact."""


class RunFailed(WorkbenchError):
    """A run that was waited for ended badly."""


class Unhealthy(WorkbenchError):
    """The figures of a run show that nothing it learns could be trusted."""


class OutOfMemory(WorkbenchError):
    """The device is too small for the recipe."""


class PortBusy(WorkbenchError):
    """Another program listens where the app wants to."""
