"""Ways to corrupt a database that exactly one invariant can see (quota.md §12).

Written for the past that `test_verify.live` gives a hospital: three packages of 1,000 that have all
lapsed; charges 1 to 3 on package 1, 4 to 6 owed and paid off by package 3, 7 on package 3, 8 and 9
owed. Posting 3 is charge 1's, 6 and 7 are the first lapses, 12 the offset, 16 the last charge.
"""

from __future__ import annotations

from dataclasses import dataclass

# tidy: long because it is one table, and whoever adds a check looks through all of it


@dataclass(frozen=True)
class Corruption:
    """What is done, statement by statement, and the number of the invariant that it breaks."""

    number: int
    name: str
    script: str

    @property
    def statements(self) -> list[str]:
        """One by one."""
        return [statement for part in self.script.split(";") if (statement := part.strip())]


def lone_examinations(count: int) -> str:
    """Insert so many examinations that nobody charged."""
    return f"""
INSERT INTO examinations SELECT 'lone-' || n.value, institution_id, account_id, device_id,
    'key-' || n.value, study_instance_uid, accession, patient_id, patient_id_raw, patient_name,
    modality, study_date, study_description, 0, admitted_at, quiet_until, completed_at, 0, 0,
    NULL, NULL, NULL, NULL
FROM examinations x, json_each('{list(range(count))}') n WHERE x.id = 'examination-1-1'
"""  # noqa: S608  # a list of our own numbers


CORRUPTIONS = [
    Corruption(
        1,
        "two postings out of balance that cancel out",
        """
        UPDATE entries SET amount = 2 WHERE posting_id = 15 AND account = 'consumed';
        UPDATE entries SET amount = 0 WHERE posting_id = 16 AND account = 'consumed'
        """,
    ),
    Corruption(
        1,
        "a posting that moves nothing",
        """
        INSERT INTO postings (meter_id, kind, effective_at, recorded_at) SELECT id, 'expiry',
            last_at, last_at FROM meters
        """,
    ),
    Corruption(
        2,
        "cached balances that are off",
        "UPDATE meters SET expired = expired + 1, voided = -1 WHERE name = 'exam'",
    ),
    Corruption(
        2,
        "a wrong base of the LOW threshold",
        "UPDATE meters SET active_quantity = 1000 WHERE name = 'exam'",
    ),
    Corruption(
        2,
        "a package that ended at another time",
        "UPDATE packages SET ended_at = ended_at + 1 WHERE id = 2",
    ),
    Corruption(
        2,
        "charges that name each other's packages",
        """
        UPDATE charges SET package_id = 3 WHERE id = 1;
        UPDATE charges SET package_id = 1 WHERE id = 7
        """,
    ),
    Corruption(
        2,
        "a newer owed charge settled before an older",
        """
        UPDATE charges SET state = 'owed', package_id = NULL, settled_at = NULL WHERE id = 4;
        UPDATE charges SET state = 'funded', package_id = 3, settled_at = 1773342000000000
            WHERE id = 9
        """,
    ),
    Corruption(
        2,
        "a charge settled at another time",
        "UPDATE charges SET settled_at = settled_at + 1 WHERE id = 4",
    ),
    Corruption(
        3,
        "a package that held more than it was sold with",
        """
        UPDATE entries SET amount = -amount WHERE posting_id = 3;
        UPDATE entries SET amount = 3 * amount WHERE posting_id = 4
        """,
    ),
    Corruption(
        4,
        "a top-up without its offset",
        """
        UPDATE postings SET recorded_at = recorded_at + 1, effective_at = effective_at + 1
            WHERE id = 12;
        UPDATE charges SET settled_at = settled_at + 1 WHERE settled_at IS NOT NULL;
        UPDATE episodes SET closed_at = closed_at + 1 WHERE closed_at IS NOT NULL
        """,
    ),
    Corruption(5, "an examination that nobody charged", lone_examinations(1)),
    Corruption(
        5,
        "a charge of an examination that another account has",
        """
        INSERT INTO accounts VALUES (2, 'B', 'per_capacity', 'AG', 'UTC', 0, NULL, NULL);
        UPDATE examinations SET account_id = 2 WHERE id = 'examination-1-1';
        INSERT INTO level_moves (meter_id, delta, moved_at) SELECT m.id, -x.bytes, m.last_at
            FROM meters m, examinations x WHERE m.name = 'capacity' AND x.id = 'examination-1-1';
        UPDATE meters SET stored = stored
            - (SELECT bytes FROM examinations WHERE id = 'examination-1-1')
            WHERE name = 'capacity'
        """,
    ),
    Corruption(
        6,
        "a package larger than what was issued",
        """
        UPDATE packages SET quantity = 2000 WHERE id = 2;
        UPDATE order_lines SET quantity = 2000 WHERE id = 2
        """,
    ),
    Corruption(
        6,
        "an entry that names a package without moving it",
        "UPDATE entries SET package_id = 1 WHERE posting_id = 3 AND account = 'consumed'",
    ),
    Corruption(
        7,
        "a charge on the package that expires later",
        """
        UPDATE entries SET package_id = 2 WHERE posting_id = 3 AND account = 'package';
        UPDATE entries SET amount = amount / 997 * 998 WHERE posting_id = 6;
        UPDATE entries SET amount = amount / 1000 * 999 WHERE posting_id = 7;
        UPDATE charges SET package_id = 2 WHERE id = 1
        """,
    ),
    Corruption(
        8,
        "a charge before the package was usable",
        "UPDATE packages SET effective_at = 1741700000000000 WHERE id = 1",
    ),
    Corruption(
        8,
        "an expiry booked when somebody noticed",
        "UPDATE postings SET effective_at = recorded_at WHERE id = 7",
    ),
    Corruption(
        9,
        "an open episode with another deadline",
        "UPDATE episodes SET deadline = deadline + 1 WHERE id = 2",
    ),
    Corruption(
        9,
        "a clock that was started again",
        """
        UPDATE episodes SET started_at = 1804978800000000, deadline = 1805065200000000
            WHERE id = 2;
        UPDATE notices SET key = 'arrears_started:1:1804978800000000'
            WHERE id = (SELECT max(id) FROM notices WHERE kind = 'arrears_started')
        """,
    ),
    Corruption(
        9,
        "arrears without an episode",
        "DELETE FROM episodes WHERE id = 2",
    ),
    Corruption(
        9,
        "an episode that closed while something was owed",
        "UPDATE episodes SET closed_at = 1804978800000000 WHERE id = 2",
    ),
    Corruption(
        9,
        "an episode where nothing was owed",
        """
        INSERT INTO episodes VALUES (9, 1, 1741608000000000, 1741694400000000, 1741608000000009);
        INSERT INTO notices (account_id, kind, key, raised_at, details) VALUES
            (1, 'arrears_started', 'arrears_started:1:1741608000000000', 1741608000000000, '{}')
        """,
    ),
    Corruption(
        9,
        "an extension that the episode knows nothing of",
        """
        INSERT INTO episode_moves (episode_id, started_before, deadline_before, started_at,
            deadline, moved_at)
            SELECT id, started_at, deadline, started_at, deadline + 1, started_at FROM episodes
            WHERE id = 2
        """,
    ),
    Corruption(
        10,
        "a charge at the deadline",
        """
        UPDATE examinations SET retained_until = retained_until + 1805061600000000
            - (SELECT charged_at FROM charges WHERE id = 9) WHERE id = 'examination-1-9';
        UPDATE postings SET effective_at = 1805061600000000, recorded_at = 1805061600000000
            WHERE id = 16;
        UPDATE charges SET charged_at = 1805061600000000 WHERE id = 9;
        UPDATE meters SET last_at = 1805061600000000
        """,
    ),
    Corruption(
        10,
        "an admission at the deadline",
        "UPDATE examinations SET admitted_at = 1805061600000000 WHERE id = 'examination-1-9'",
    ),
    Corruption(
        11,
        "a line that was credited twice, another never",
        "UPDATE postings SET order_line_id = 1 WHERE id = 2",
    ),
    Corruption(
        11,
        "an order with packages that says it has none",
        "UPDATE orders SET credited_at = NULL WHERE number = 'SO-3'",
    ),
    Corruption(
        11,
        "an order credited without a payment",
        "UPDATE orders SET paid_at = NULL WHERE number = 'SO-3'",
    ),
    Corruption(
        11,
        "an order credited without a package",
        "UPDATE orders SET paid_at = 1, credited_at = 1 WHERE number = 'SO-4'",
    ),
    Corruption(
        12,
        "a package of another size than its line",
        "UPDATE order_lines SET quantity = 2000 WHERE id = 2",
    ),
    Corruption(
        12,
        "a package of another meter than its line",
        "UPDATE order_lines SET meter = 'ai:x' WHERE id = 2",
    ),
    Corruption(
        12,
        "a package of broken thousands",
        """
        UPDATE order_lines SET quantity = 1500 WHERE id = 2;
        UPDATE packages SET quantity = 1500 WHERE id = 2;
        UPDATE entries SET amount = amount / 1000 * 1500 WHERE posting_id IN (2, 7);
        UPDATE meters SET purchased = purchased + 500, expired = expired + 500
            WHERE name = 'exam'
        """,
    ),
    Corruption(
        14,
        "a level with a byte too many",
        "UPDATE meters SET stored = stored + 1 WHERE name = 'capacity'",
    ),
    Corruption(
        15,
        "an episode of bytes that nobody is short of",
        """
        INSERT INTO episodes (meter_id, started_at, deadline)
            SELECT id, last_at, last_at + 86400000000 FROM meters WHERE name = 'capacity';
        INSERT INTO notices (account_id, kind, key, raised_at, details)
            SELECT 1, 'arrears_started', 'arrears_started:' || id || ':' || last_at, 1, '{}'
            FROM meters WHERE name = 'capacity'
        """,
    ),
    Corruption(
        14,
        "an examination with an instance too many",
        "UPDATE examinations SET instances = 3 WHERE id = 'examination-1-1'",
    ),
    Corruption(
        14,
        "an examination with a byte too few",
        "UPDATE examinations SET bytes = bytes - 1 WHERE id = 'examination-1-1'",
    ),
    Corruption(
        16,
        "a posting booked before its predecessor",
        """
        UPDATE postings SET effective_at = effective_at - 4000000000 WHERE id = 4;
        UPDATE charges SET charged_at = charged_at - 4000000000 WHERE id = 2;
        UPDATE examinations SET retained_until = retained_until - 4000000000
            WHERE id = (SELECT examination_id FROM charges WHERE id = 2)
        """,
    ),
    Corruption(
        16,
        "a meter whose last instant is before its last posting",
        "UPDATE meters SET last_at = last_at - 1",
    ),
    Corruption(
        2,
        "a package that was voided at another time than it ended",
        "UPDATE packages SET voided_at = ended_at + 1 WHERE id = 1",
    ),
    Corruption(
        17,
        "a hold that sets nothing aside",
        """
        INSERT INTO holds (meter_id, key, units, state, held_at, expires_at)
            VALUES (1, 'call', 5, 'pending', 1, 9000000000000000)
        """,
    ),
    Corruption(
        17,
        "a hold past its end",
        """
        INSERT INTO holds (id, meter_id, key, units, state, held_at, expires_at)
            VALUES (1, 1, 'call', 0, 'pending', 1, 2);
        INSERT INTO hold_shares VALUES (1, 1, 0)
        """,
    ),
    Corruption(
        18,
        "an episode that nobody was told of",
        "DELETE FROM notices WHERE kind = 'arrears_started'",
    ),
    Corruption(
        19,
        "a journal that is not what an anchor says it was",
        """
        INSERT INTO anchors (anchored_at, through_posting_id, postings, entries, digest)
            VALUES (1, 16, 16, 32, 'another')
        """,
    ),
    Corruption(
        20,
        "two licences of one feature that share a microsecond",
        """
        INSERT INTO licences (order_line_id, account_id, institution_id, feature, purchased_at,
            credited_at, starts_at, ends_at) VALUES
            (901, 1, 1, 'mobile', 10, 10, 10, 20), (902, 1, 1, 'mobile', 10, 10, 19, 30),
            (903, 1, 1, 'mobile', 10, 10, 30, 40), (904, 1, 2, 'mobile', 10, 10, 10, 40)
        """,
    ),
    Corruption(
        20,
        "a licence for good beside one that was revoked later",
        """
        INSERT INTO licences (order_line_id, account_id, consortium_id, feature, purchased_at,
            credited_at, starts_at, ends_at, revoked_at) VALUES
            (901, 1, 1, 'mobile', 10, 10, 10, 20, 11), (902, 1, 1, 'mobile', 10, 10, 10, NULL, NULL)
        """,
    ),
    Corruption(
        11,
        "a licence for a line that was not credited",
        """
        INSERT INTO licences (order_line_id, account_id, institution_id, feature, purchased_at,
            credited_at, starts_at, ends_at) VALUES (4, 1, 1, 'mobile', 10, 10, 10, 20)
        """,
    ),
    Corruption(
        21,
        "an examination kept for less than its package says",
        "UPDATE examinations SET retained_until = retained_until - 1 WHERE id = 'examination-1-1'",
    ),
    Corruption(
        23,
        "a package that expired and still counts as active",
        """
        UPDATE packages SET ended_at = NULL WHERE id = 2;
        UPDATE meters SET active_quantity = 1000 WHERE name = 'exam'
        """,
    ),
]
