"""What was found when the archive was looked through."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from storage.tables.common import INSTANT, count, metadata, row_id

archive_rounds = Table(
    "archive_rounds",
    metadata,
    row_id(),
    Column("kind", String(20), nullable=False),
    Column("began_at", INSTANT, nullable=False),
    Column("ended_at", INSTANT),
    # How far a round has come: past this object of this examination.
    Column("examination_id", String(36), nullable=False, server_default=""),
    Column("object_key", String(200), nullable=False, server_default=""),
    count("objects"),
    count("bytes"),
    count("damaged"),
)
Index("ix_archive_rounds_kind", archive_rounds.c.kind, archive_rounds.c.id)

damaged_objects = Table(
    "damaged_objects",
    metadata,
    Column("object_key", String(200), primary_key=True),
    Column("examination_id", String(36), ForeignKey("examinations.id"), nullable=False),
    Column("damage", String(20), nullable=False),
    Column("found_at", INSTANT, nullable=False),
    Column("seen_at", INSTANT, nullable=False),
)
Index("ix_damaged_objects_examination", damaged_objects.c.examination_id)
