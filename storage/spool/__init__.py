"""The spool: acknowledged instances on a local disk until they are filed (design §5).

spool = Spool.open(directory)               # or spools.adopt(root)
lease = spool.lease()                       # at an association's first store
reception = lease.begin()
reception.write(chunk)                      # ... as the bytes come
reception.commit(header)                    # durable when it returns: answer now
lease.end()                                 # when the association ends

for record in spool.unfiled(limit=200):     # the filer: oldest first
    archive(record.header, record.chunks())
spool.release(refs)                         # once the rows are committed
"""

from storage.spool import spools
from storage.spool.errors import (
    HeaderTooLarge,
    RecordDamaged,
    SpoolFull,
    SpoolLocked,
    SpoolSick,
    SpoolUnavailable,
    SpoolUnknown,
    SpoolUnsuitable,
)
from storage.spool.lease import Lease, Reception
from storage.spool.opening import Recovered
from storage.spool.reading import SpooledRecord, read_places
from storage.spool.record import Place, RecordHeader, RecordRef
from storage.spool.segment import Damage
from storage.spool.spool import Spool
from storage.spool.usage import Usage

__all__ = [
    "Damage",
    "HeaderTooLarge",
    "Lease",
    "Place",
    "Reception",
    "RecordDamaged",
    "RecordHeader",
    "RecordRef",
    "Recovered",
    "Spool",
    "SpoolFull",
    "SpoolLocked",
    "SpoolSick",
    "SpoolUnavailable",
    "SpoolUnknown",
    "SpoolUnsuitable",
    "SpooledRecord",
    "Usage",
    "read_places",
    "spools",
]
