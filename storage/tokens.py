"""The token by which an institution proves itself when it orders (domain, ordering).

Random, 256 bits, shown once; only its SHA-256 is kept. A slow hash guards weak secrets, and this is
none. At most one token of an institution is valid.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select, update

from storage import tables as t
from storage.view import SqlView
from storage.work import SqlWork

TOKEN_BYTES = 32
TOKEN_LENGTH_MAX = 200
"""A limit on everything: no longer text is hashed."""
_NOBODYS = hashlib.sha256(b"").hexdigest()
"""What is compared where there is no token: an empty one is refused before."""


def issue_token(work: SqlWork, institution_id: int) -> str:
    """A new token, valid from now on; one issued before is not any more."""
    revoke_token(work, institution_id)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    values: dict[str, object] = {
        "institution_id": institution_id,
        "sha256": _hashed(token),
        "issued_at": work.clock(),
    }
    assert work.insert_new(t.institution_tokens, values) is not None, "random, and the only one"
    return token


def revoke_token(work: SqlWork, institution_id: int) -> bool:
    """Let no token of the institution be valid; whether one was."""
    # Two that rotate at once come one after the other.
    row = select(t.institutions.c.id).where(t.institutions.c.id == institution_id)
    work.connection.execute(row.with_for_update(key_share=True)).one()
    statement = (
        update(t.institution_tokens)
        .where(
            t.institution_tokens.c.institution_id == institution_id,
            t.institution_tokens.c.revoked_at.is_(None),
        )
        .values(revoked_at=work.clock())
        .returning(t.institution_tokens.c.id)
    )
    return work.connection.execute(statement).one_or_none() is not None


def token_holds(view: SqlView, institution_id: int, token: str) -> bool:
    """Whether this is the institution's valid token; compared in constant time.

    An institution that does not exist, or has none, answers as a wrong token does.
    """
    statement = select(t.institution_tokens.c.sha256).where(
        t.institution_tokens.c.institution_id == institution_id,
        t.institution_tokens.c.revoked_at.is_(None),
    )
    kept = view.connection.execute(statement).scalar_one_or_none()
    given = _hashed(token) if 0 < len(token) <= TOKEN_LENGTH_MAX else "none"
    return hmac.compare_digest(kept or _NOBODYS, given) and kept is not None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
