"""The mutants: each breaks one rule of quota.md by hand, in the way a tired engineer would."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change: `old` occurs exactly once in `path` and becomes `new`."""

    rule: str
    wrong: str
    path: str
    old: str
    new: str


def _mutant(rule: str, wrong: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule=rule, wrong=wrong, path=path, old=old, new=new)


_BOOK = "quota/book.py"
_STANDING = "quota/standing.py"
_PACKAGE = "quota/package.py"
_CORRECTION = "quota/correction.py"
_AI = "quota/ai.py"
_NOTICE = "quota/notice.py"
_RECORDING = "storage/recording.py"

MUTANTS = (
    # -- time, clock, deadline ---------------------------------------------------------------------
    _mutant(
        *("TIME-1", "T may run backwards on a meter", _BOOK),
        "max(clock_reading, meter.last_at + 1)",
        "clock_reading",
    ),
    _mutant(
        *("TIME-2", "grace holds at the deadline itself", _STANDING),
        "at >= self.deadline",
        "at > self.deadline",
    ),
    _mutant(
        *("TIME-2", "a package is usable at its expiry", _PACKAGE),
        "self.expires_at is not None and at >= self.expires_at\n\n    def state",
        "self.expires_at is not None and at > self.expires_at\n\n    def state",
    ),
    _mutant(
        *("TIME-3", "packages expire before others begin", _BOOK),
        "(package.effective_at, 1, package.burn_key, begins)",
        "(package.effective_at, 3, package.burn_key, begins)",
    ),
    _mutant(
        *("TIME-3", "holds end after packages at one instant", _BOOK),
        "(hold.expires_at, 0, (hold.key,)",
        "(hold.expires_at, 3, (hold.key,)",
    ),
    _mutant(
        *("STATE-4", "capacity clock from its detection", _BOOK),
        "            self.turn_clock(at)\n",
        "            self.turn_clock()\n",
    ),
    _mutant(
        *("STATE-1", "clock restarted by every charge", _BOOK),
        "if self.meter.owing > 0 and episode is None:",
        "if self.meter.owing > 0:",
    ),
    _mutant(
        *("STATE-1", "clock stopped by a partial top-up", _BOOK),
        "elif self.meter.owing == 0 and episode is not None:",
        "elif episode is not None and not self._moved:",
    ),
    _mutant(
        *("STATE-3", "an episode stays open when nothing is owed", _BOOK),
        "elif self.meter.owing == 0 and episode is not None:",
        "elif self.meter.owing < 0 and episode is not None:",
    ),
    _mutant(
        *("TIME-6", "grace of 23 hours", "quota/ledger.py"),
        "86_400",
        "82_800",
    ),
    # -- burning, charging, crediting --------------------------------------------------------------
    _mutant(
        *("BURN", "latest expiry first", _PACKAGE),
        "(self.expires_at is None, self.expires_at or 0, self.id)",
        "(self.expires_at is None, -(self.expires_at or 0), self.id)",
    ),
    _mutant(
        *("ADM-3", "a charge takes two units", _BOOK),
        "else entry(LedgerAccount.PACKAGE, -1, funding)",
        "else entry(LedgerAccount.PACKAGE, -2, funding)",
    ),
    _mutant(
        *("§3", "no offset at a top-up", _BOOK),
        "count = min(self.left(package), self.meter.owed)",
        "count = 0",
    ),
    _mutant(
        *("§3", "an offset pays more than is left", _BOOK),
        "count = min(self.left(package), self.meter.owed)",
        "count = self.meter.owed",
    ),
    _mutant(
        *("§3", "the newest owed charge is paid first", _RECORDING),
        ".order_by(t.charges.c.id)\n",
        ".order_by(t.charges.c.id.desc())\n",
    ),
    _mutant(
        *("ORD-3", "one credited after its expiry pays debts", _BOOK),
        "        if package.effective_at <= self.at:\n            self.materialise([package])\n",
        "        self.offset(package)\n"
        "        if package.effective_at <= self.at:\n            self.materialise([package])\n",
    ),
    _mutant(
        *("§3", "what is left does not lapse at the expiry", _BOOK),
        "        if left > 0:\n            self.post(\n                PostingKind.VOID",
        "        if left > 10**9:\n            self.post(\n                PostingKind.VOID",
    ),
    # -- states ------------------------------------------------------------------------------------
    _mutant(
        *("STATE-2", "an empty account refuses", "quota/admission.py"),
        "    Status.SUSPENDED: RefusalReason.GRACE_OVER,\n",
        "    Status.SUSPENDED: RefusalReason.GRACE_OVER,\n"
        "    Status.EMPTY: RefusalReason.GRACE_OVER,\n",
    ),
    _mutant(
        *("§6", "no grace needs no package", _STANDING),
        "        if not self.provisioned:\n            return Status.UNPROVISIONED\n",
        "",
    ),
    _mutant(
        *("§6", "LOW one unit too late", _STANDING),
        "self.free <= self.low_threshold",
        "self.free < self.low_threshold",
    ),
    _mutant(
        *("STATE-6", "the arrears cap counts one too many", _STANDING),
        "self.owed >= self.arrears_cap",
        "self.owed > self.arrears_cap",
    ),
    # -- capacity ----------------------------------------------------------------------------------
    _mutant(
        *("CAP-2", "a deletion frees nothing", "storage/deletion.py"),
        "service.move_level(work, level, -row.bytes)",
        "service.move_level(work, level, 0)",
    ),
    _mutant(
        *("CAP-3", "an ended package still counts to the limit", _BOOK),
        "active = self.meter.active_quantity - package.quantity",
        "active = self.meter.active_quantity",
    ),
    # -- corrections -------------------------------------------------------------------------------
    _mutant(
        *("§3", "a reversed unit comes back to an ended package", _BOOK),
        "    if package.expired(at):\n        return entry(LedgerAccount.EXPIRED",
        "    if False:\n        return entry(LedgerAccount.EXPIRED",
    ),
    _mutant(
        *("§3", "a reversed unit pays no debt", _CORRECTION),
        "        book.offset(package)\n",
        "        pass\n",
    ),
    _mutant(
        *("STATE-1", "never stored moves no start", _CORRECTION),
        "    if never_stored:\n        _restart_grace(work, book)\n",
        "",
    ),
    _mutant(
        *("STATE-6", "a write-off beyond what is owed", _CORRECTION),
        "if not 1 <= units <= book.meter.owed:",
        "if not 1 <= units:",
    ),
    _mutant(
        *("STATE-6", "a deadline may be shortened", _CORRECTION),
        "if not episode.deadline < until <=",
        "if not until <=",
    ),
    _mutant(
        *("STATE-6", "a correction is not journaled", _CORRECTION),
        "    work.note_action(actor=by.actor, action=action, subject=str(subject), "
        "reason=by.reason)\n",
        "    del work, by, action, subject\n",
    ),
    # -- AI ----------------------------------------------------------------------------------------
    _mutant(
        *("AI", "a hold of more than is available", _AI),
        "elif book.meter.available < units:",
        "elif book.meter.available <= 0:",
    ),
    _mutant(
        *("AI", "a hold is posted twice", _AI),
        "    if known.state is HoldState.POSTED and known.posted == units:\n"
        "        return known\n    if known.state is not HoldState.PENDING:",
        "    if known.state is HoldState.VOIDED:",
    ),
    _mutant(
        *("AI", "what was not used is lost", _BOOK),
        "            self._move_held(PostingKind.RELEASE, hold, share.package, back, at)\n",
        "",
    ),
    _mutant(
        *("§9", "the key of a hold with another content is taken", _AI),
        "    if (known.units, known.expires_at) == (units, ends_at(known.held_at, ttl_s=ttl_s)):\n",
        "    if known.key:\n",
    ),
    # -- notices -----------------------------------------------------------------------------------
    _mutant(
        *("§10", "LOW at every charge below the threshold", _NOTICE),
        "0 < left <= threshold < left_before",
        "0 < left <= threshold",
    ),
    _mutant(
        *("§10", "SUSPENSION_NEAR three hours before", _NOTICE),
        "NEAR = 4 * _HOUR",
        "NEAR = 3 * _HOUR",
    ),
    _mutant(
        *("§10", "no ARREARS_STARTED", _BOOK),
        "            self._tell_episode(NoticeKind.ARREARS_STARTED, episode)\n",
        "",
    ),
    # -- the record --------------------------------------------------------------------------------
    _mutant(
        *("ORD-2", "a second delivery credits again", "quota/ordering.py"),
        "    if known.paid_at is None or known.state is not OrderState.PAID:\n"
        "        return known\n",
        "",
    ),
    _mutant(
        *("ORD-2", "an order number with another content is the first one", "quota/ordering.py"),
        "    if known.fingerprint == request.fingerprint:\n",
        "    if known.number:\n",
    ),
    _mutant(
        *("§8", "retention of the wrong package", "quota/service.py"),
        "years = OWED_YEARS if payer is None else payer.storage_years",
        "years = OWED_YEARS",
    ),
    _mutant(
        *("invariant 3", "a package's cache does not move", "storage/recording_meter.py"),
        'values(remaining=t.packages.c.remaining + bindparam("amount"))',
        'values(remaining=t.packages.c.remaining + 0 * bindparam("amount"))',
    ),
    _mutant(
        *("§13", "writers that share the database lock no row", "storage/dialect.py"),
        'return connection.dialect.name == "postgresql"',
        "return False",
    ),
    # -- several at once ---------------------------------------------------------------------------
    _mutant(
        *("BURN", "those admitted together all find the unit of the first", "quota/service.py"),
        "remaining=book.left(one)) for one in heads if book.left(one)",
        "remaining=one.remaining) for one in heads if one.remaining",
    ),
    _mutant(
        *("§3", "what is owed together is paid from the last", "storage/recording_charges.py"),
        "for _, charged in charges\n",
        "for _, charged in reversed(charges)\n",
    ),
    _mutant(
        *("KEY-1", "two of one study are admitted together", "storage/resolving.py"),
        "        seen.update(each.items())\n",
        "",
    ),
)
