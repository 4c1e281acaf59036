"""Fills an empty ledger with a long past in bulk: valid by every invariant, in a minute or two.

One account. First come packages that were credited too late and others that were taken back; then,
day by day, one package is used up: 50 examinations are owed before it comes, which it pays off, and
950 are funded by it. The last packages are untouched. Every examination has one instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, func, insert, select, text, update

from quota.account import CAPACITY, EXAM, Account, Plan
from quota.ledger import GRACE
from quota.retention import OWED_YEARS, retained_until
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.anchors import anchor_journal
from storage.engine import system_clock
from storage.ledger import SqlLedger

UNITS = 1_000
"""Every package's, and the examinations of a day."""
OWED = 50
SECOND = MICROSECONDS_PER_SECOND
DAY = 86_400 * SECOND
STEP = 80 * SECOND
LATE = 400 * DAY
VALID = 366 * DAY
YEARS = 5
INSTANCE_BYTES = 500_000
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How much of what; `charges` in whole thousands, one used package for each thousand."""

    charges: int
    packages: int
    today: Instant

    @property
    def days(self) -> int:
        """Days of work, and packages that were used up."""
        return self.charges // UNITS

    @property
    def fresh(self) -> int:
        """Packages that nobody has touched."""
        return max(1, (self.packages - self.days) // 100)

    @property
    def over(self) -> int:
        """Packages that ended before the first examination: every other one was taken back."""
        return self.packages - self.days - self.fresh

    @property
    def begin(self) -> Instant:
        """When the first examination came."""
        return self.today - (self.days + 2) * DAY

    @property
    def last_at(self) -> Instant:
        """When the last package came; nothing has happened since."""
        return self.today - DAY + self.fresh * SECOND

    def day_of(self, day: int) -> Instant:
        """When a day's first examination came: owed."""
        return self.begin + day * DAY

    def credited(self, day: int) -> Instant:
        """When its package came: after the 50th examination."""
        return self.day_of(day) + OWED * STEP - STEP // 2


@dataclass(frozen=True, kw_only=True)
class Places:
    """Whose past it is."""

    account: Account
    exam: int
    capacity: int


def fill(ledger: SqlLedger, *, charges: int, packages: int) -> Account:
    """Make the past, up to yesterday; the account that it is of."""
    filling = Filling(charges=charges, packages=packages, today=system_clock() // DAY * DAY)
    with ledger.begin() as work:
        account = work.add_account(
            name="North", plan=Plan.PER_EXAM, agreement_no="AG-1", timezone="UTC"
        )
        assert account is not None
        exam, capacity = (work.lock_meter(account.id, name)[0].id for name in (EXAM, CAPACITY))
        places = Places(account=account, exam=exam, capacity=capacity)
        _purchases(work.connection, filling, places)
        _examinations(work.connection, filling, places)
        _meters(work.connection, filling, places)
        if work.connection.dialect.name == "postgresql":
            for table in ("orders", "order_lines", "packages", "postings", "charges"):
                sequence = func.pg_get_serial_sequence(table, "id")
                last = func.max(t.metadata.tables[table].c.id)
                work.connection.execute(select(func.setval(sequence, last)))
        anchor_journal(work)
        work.commit()
    with ledger.begin() as work:
        # As the server does by itself after a while: the planner knows what there is.
        work.connection.execute(text("ANALYZE"))
        work.commit()
    return account


def _purchases(connection: Connection, filling: Filling, places: Places) -> None:
    """Orders, packages, and the postings of what did not happen to examinations."""
    rows: dict[Table, list[Row]] = {
        table: []
        for table in (t.orders, t.order_lines, t.packages, t.postings, t.entries, t.episodes)
    }
    notices = rows[t.notices] = []
    for number, (package, postings) in enumerate(_packages(filling), start=1):
        at = package["purchased_at"]
        paid = {"placed_at": at, "paid_at": at, "credited_at": package["credited_at"]}
        order = {"id": number, "number": f"SO-{number}", "account_id": places.account.id}
        rows[t.orders].append({**order, "fingerprint": str(number), **paid})
        line = {"id": number, "order_id": number, "line_no": 0, "meter": EXAM, "quantity": UNITS}
        rows[t.order_lines].append({**line, "storage_years": YEARS})
        keys = {"id": number, "order_line_id": number, "meter_id": places.exam}
        rows[t.packages].append({**keys, "quantity": UNITS, "storage_years": YEARS, **package})
        for posting_id, kind, posted_at, source, target in postings:
            line_id = number if kind == "credit" else None
            posting = {"id": posting_id, "meter_id": places.exam, "kind": kind}
            instants = {"effective_at": posted_at, "recorded_at": posted_at}
            rows[t.postings].append({**posting, **instants, "order_line_id": line_id})
            for line_no, (name, amount) in enumerate((source, target)):
                package_id = number if name == "package" else None
                entry = {"posting_id": posting_id, "line_no": line_no, "account": name}
                rows[t.entries].append({**entry, "package_id": package_id, "amount": amount})
    for day in range(filling.days):
        started = filling.day_of(day)
        episode = {"meter_id": places.exam, "started_at": started, "deadline": started + GRACE}
        rows[t.episodes].append({**episode, "closed_at": filling.credited(day)})
        told = {"kind": "arrears_started", "key": f"arrears_started:{places.exam}:{started}"}
        whose = {"account_id": places.account.id, "meter": EXAM}
        notices.append({**told, **whose, "raised_at": started, "details": "{}"})
    for table, values in rows.items():
        connection.execute(insert(table), values)


Move: TypeAlias = tuple[int, str, Instant, tuple[str, int], tuple[str, int]]


def _packages(filling: Filling) -> Iterator[tuple[Row, list[Move]]]:
    """Every package as it is by now, and its postings: credit, offset, expiry, void."""
    ids = count(1)

    def came(posting_id: int, at: Instant) -> Move:
        return (posting_id, "credit", at, ("issued", -UNITS), ("package", UNITS))

    def package(at: Instant, *, remaining: int = 0, **others: Instant | None) -> Row:
        instants = {"purchased_at": at, "credited_at": at, "expires_at": at + VALID}
        begun = {"effective_at": at, "activated_at": at, "voided_at": None, "ended_at": None}
        return {**instants, **begun, "remaining": remaining, **others}

    for number in range(filling.over):
        at = filling.begin - DAY + number * SECOND
        if number % 2:
            end = at + SECOND // 2
            target, kind, row = "voided", "void", package(at, voided_at=end, ended_at=end)
        else:
            bought = {"purchased_at": at - LATE, "expires_at": at - LATE + VALID}
            end, target, kind, row = at, "expired", "expiry", package(at, ended_at=at, **bought)
        lapse = (("package", -UNITS), (target, UNITS))
        yield row, [came(next(ids), at), (next(ids), kind, end, *lapse)]
    first = next(ids)
    for day in range(filling.days):
        at = filling.credited(day)
        posting_id = first + day * (UNITS + 2) + OWED
        offset = (posting_id + 1, "offset", at, ("package", -OWED), ("arrears", OWED))
        ended_at = at + VALID if at + VALID <= filling.last_at else None
        yield package(at, ended_at=ended_at), [came(posting_id, at), offset]
    first += filling.days * (UNITS + 2)
    for number in range(filling.fresh):
        at = filling.today - DAY + (number + 1) * SECOND
        yield package(at, remaining=UNITS), [came(first + number, at)]


# Examination number e = 1,000 day + k; the day's package comes between k = 49 and k = 50.
_ID = "'00000000-0000-7000-8000-' || CAST(100000000000 + e AS text)"
_UID = "'1.2.826.0.1.3680043.10.' || CAST(e AS text)"
_PAST = """
    SELECT day * :a_day + k AS e, k, began + k * :step AS at, credited, kept_owed, kept, package_id,
        :first + day * (:a_day + 2) + k + CASE WHEN k < :owed THEN 0 ELSE 2 END AS posting_id
    FROM past_days CROSS JOIN past_turns
"""
_EACH = {
    "postings (id, meter_id, kind, effective_at, recorded_at, examination_id)": f"""
        posting_id, :exam, 'charge', at, at, {_ID}""",
    "entries (posting_id, line_no, account, package_id, amount)": """
        posting_id, 0, CASE WHEN k < :owed THEN 'arrears' ELSE 'package' END,
        CASE WHEN k < :owed THEN NULL ELSE package_id END, -1""",
    "entries (posting_id, line_no, account, amount)": """
        posting_id, 1, 'consumed', 1""",
    "charges (id, meter_id, examination_id, state, package_id, charged_at, settled_at)": f"""
        e + 1, :exam, {_ID}, 'funded', package_id, at, CASE WHEN k < :owed THEN credited END""",
    """
    examinations (id, institution_id, account_id, device_id, key, study_instance_uid, accession,
        patient_id, patient_id_raw, patient_name, modality, study_date, study_description,
        admitted_at, quiet_until, completed_at, retained_until, instances, bytes)
    """: f"""
        {_ID}, 1, :account, 1, {_UID}, {_UID}, '', '', :nobody, '', 'CT', '', '', at, at, at,
        at + CASE WHEN k < :owed THEN kept_owed ELSE kept END, 1, :size""",
    "examination_studies (institution_id, study_instance_uid, examination_id)": f"""
        1, {_UID}, {_ID}""",
    """
    instances (institution_id, sop_instance_uid, examination_id, device_id, study_instance_uid,
        series_instance_uid, sop_class_uid, transfer_syntax_uid, sha256, object_key, size_bytes,
        filed_at)
    """: f"""
        1, {_UID} || '.1.1', {_ID}, 1, {_UID}, {_UID} || '.1', '1.2.840.10008.5.1.4.1.1.2',
        '1.2.840.10008.1.2.1', '', {_UID}, :size, at""",
    "level_moves (meter_id, delta, moved_at)": """
        :capacity, :size, at""",
}
"""By table and columns, what to select from `past`."""


def _examinations(connection: Connection, filling: Filling, places: Places) -> None:
    """Everything that there is one of per examination, selected from days and their thousands."""
    whose = {"id": 1, "created_at": filling.begin}
    hospital = {**whose, "account_id": places.account.id, "name": "North"}
    connection.execute(insert(t.institutions), hospital)
    device = {**whose, "institution_id": 1, "ae_title": "CT", "grouping": "study"}
    connection.execute(insert(t.devices), device)
    connection.execute(
        text(
            "CREATE TEMPORARY TABLE past_days (day BIGINT, began BIGINT, credited BIGINT,"
            " kept_owed BIGINT, kept BIGINT, package_id BIGINT)"
        )
    )
    connection.execute(text("CREATE TEMPORARY TABLE past_turns (k BIGINT)"))
    connection.execute(
        text(
            "INSERT INTO past_days VALUES (:day, :began, :credited, :kept_owed, :kept, :package_id)"
        ),
        [
            {
                "day": day,
                "began": (at := filling.day_of(day)),
                "credited": filling.credited(day),
                "kept_owed": retained_until(at, storage_years=OWED_YEARS) - at,
                "kept": retained_until(at, storage_years=YEARS) - at,
                "package_id": filling.over + day + 1,
            }
            for day in range(filling.days)
        ],
    )
    turns = [{"k": k} for k in range(UNITS)]
    connection.execute(text("INSERT INTO past_turns VALUES (:k)"), turns)
    values: Row = {
        "exam": places.exam,
        "capacity": places.capacity,
        "account": places.account.id,
        "owed": OWED,
        "a_day": UNITS,
        "step": STEP,
        "first": 2 * filling.over + 1,
        "size": INSTANCE_BYTES,
        "nobody": b"",
    }
    for target, columns in _EACH.items():
        # Made of this file's own words only.
        select_each = f"SELECT {columns} FROM ({_PAST}) past ORDER BY e"  # noqa: S608 - as above
        statement = f"INSERT INTO {target} {select_each}"
        named = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(text(statement), named)


def _meters(connection: Connection, filling: Filling, places: Places) -> None:
    """The balances, as the journal has them."""
    lapsed = filling.over - filling.over // 2
    active = sum(1 for row, _ in _packages(filling) if row["ended_at"] is None)
    balances = {
        "purchased": filling.packages * UNITS,
        "available": filling.fresh * UNITS,
        "consumed": filling.charges,
        "expired": lapsed * UNITS,
        "voided": (filling.over - lapsed) * UNITS,
        "active_quantity": active * UNITS,
        "last_at": filling.last_at,
    }
    level = {"stored": filling.charges * INSTANCE_BYTES, "last_at": filling.last_at}
    for meter_id, found in ((places.exam, balances), (places.capacity, level)):
        connection.execute(update(t.meters).where(t.meters.c.id == meter_id).values(found))
