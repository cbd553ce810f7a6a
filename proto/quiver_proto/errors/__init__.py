"""Every error Quiver raises on purpose.

    QuiverError
    ├── ConfigurationError (ValueError)
    │   ├── BadMasterUrl
    │   ├── BadMemoryString
    │   └── BadSetting
    ├── ConnectionFailed (ConnectionError)
    │   ├── ManagerUnreachable
    │   ├── DriverUnreachable
    │   ├── AuthenticationFailed
    │   └── IncompatibleVersions
    ├── MalformedMessage
    ├── UnsupportedPlan
    ├── KernelDiffers (ImportError)
    ├── PortInUse (OSError)
    ├── KernelOutOfMemory (MemoryError)
    │   ├── SlotOutOfMemory
    │   └── GroupOutOfMemory
    ├── ResourcesUnavailable
    │   └── ExecutorLaunchFailed
    ├── DataError
    │   ├── PathNotFound (FileNotFoundError)
    │   ├── PathUnreadable (PermissionError)
    │   │   └── PathUnwritable
    │   ├── FileUnreadable
    │   ├── DatabaseFailed
    │   ├── ValueRefused
    │   ├── UndecodableLine (ValueError)
    │   ├── NotAPair (TypeError, ValueError)
    │   ├── UnhashableKey (TypeError)
    │   ├── UnorderableKeys (TypeError)
    │   ├── BadPartitionNumber (TypeError)
    │   ├── UnpicklableOutput (pickle.PicklingError)
    │   ├── PipeFailed (RuntimeError)
    │   ├── UntrustedPickle (PermissionError)
    │   ├── BadRecordLength (ValueError)
    │   ├── OutputExists (FileExistsError)
    │   ├── SharedFileDiffers (FileExistsError)
    │   ├── BadFileName (ValueError)
    │   ├── BadArchive (ValueError)
    │   ├── UnsafeArchive (ValueError)
    │   ├── BatchMismatch (TypeError)
    │   ├── UnpicklableRecord (pickle.PicklingError)
    │   └── UnpicklableBroadcast (pickle.PicklingError)
    ├── UnpicklableClosure (pickle.PicklingError)
    │   └── DriverObjectInClosure (RuntimeError)
    ├── UnstableKey (TypeError)
    ├── NotAnRDD (TypeError, AttributeError)
    ├── NegativeFraction (ValueError, AssertionError)
    ├── PackageMissing (ImportError)
    ├── NeedsJVM (RuntimeError)
    ├── NotOffered (RuntimeError)
    ├── SharedVariableError (RuntimeError)
    │   ├── ValueNotAccessible
    │   ├── UpdatesTooLarge
    │   ├── InvalidBroadcastOperation
    │   ├── BroadcastNotLoaded
    │   └── BroadcastDestroyed
    ├── StorageError
    │   ├── CheckpointLost
    │   ├── CheckpointUnreadable
    │   ├── FetchFailed
    │   ├── CacheMiss
    │   ├── BroadcastUnavailable
    │   ├── BlockCorrupt
    │   ├── QuotaExceeded
    │   ├── DiskFull
    │   └── ResultTooLarge
    ├── JobFailed
    │   ├── TaskFailed
    │   ├── SlotDied
    │   ├── ExecutorLost
    │   ├── JobCancelled
    │   ├── NoProgress
    │   ├── BarrierTooWide
    │   ├── BarrierChainUnsupported
    │   └── BarrierFailed
    ├── NoSharedFiles (RuntimeError)
    ├── NotInBarrierStage (RuntimeError)
    ├── CalledBeforeInitialized (RuntimeError)
    ├── ProfilingOff (RuntimeError)
    ├── CannotChangeStorageLevel (RuntimeError)
    ├── CheckpointDirectoryNotSet (RuntimeError)
    └── ContextStopped (RuntimeError)

An error is built from named fields and says what happened, where, and what to try. The fields are plain values, so that any of
these errors crosses the wire as `(code, fields)` (see `to_wire` and `from_wire`) and keeps its type on the other side.
A user's own exception is not wrapped: it is raised with its own type and a note that names the operator, partition and record.
"""

# All of them at once: what comes over the wire is looked up by name.
from quiver_proto.errors.base import *
from quiver_proto.errors.calls import *
from quiver_proto.errors.connections import *
from quiver_proto.errors.data import *
from quiver_proto.errors.files import *
from quiver_proto.errors.jobs import *
from quiver_proto.errors.kernel import *
from quiver_proto.errors.pickling import *
from quiver_proto.errors.shared_variables import *
from quiver_proto.errors.storage import *
