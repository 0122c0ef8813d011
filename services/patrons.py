"""Finding a patron by what they can say of themselves, with nothing of it in clear (PR-12).

What is kept is a keyed hash of each normalised value, and the value sealed under the patron's own key. With the key of
the hashes a telephone number can be guessed: so it is made anew with each erasure, and the others' hashes with it.
"""

from __future__ import annotations

import hmac
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection
from pydantic import ValidationError

from domain.facts import Malformed, patron_key
from services.forms import PATRON
from services.key_store import KeyStore

INDEX_KEY = "patron-index"
NONCE_BYTES = 12
NATIONAL_DIGITS = 10
COUNTRY = "1"
LONGEST_VALUE = 400
NOTE = (
    "insert into keys.patron_index as known (digest, patron, kind, sealed) values (%s, %s, %s, %s) "
    "on conflict (digest, patron) do update set noted_at = clock_timestamp() where not known.on_record"
)
TAKE_OUT = "delete from keys.patron_index returning patron, kind, sealed, noted_at, on_record"
PUT_BACK = "insert into keys.patron_index values (%s, %s, %s, %s, %s, %s) on conflict do nothing"
UNSETTLED = (
    "select distinct patron from keys.patron_index "
    "where not on_record and noted_at < clock_timestamp() - make_interval(secs => %s)"
)
SETTLE = "update keys.patron_index set on_record = true where patron = any (%s)"
DROP = (
    "delete from keys.patron_index where patron = any (%s) "
    "and not on_record and noted_at < clock_timestamp() - make_interval(secs => %s)"
)
FIND = "select patron from keys.patron_index where digest = any (%s)"


class PatronIndex:
    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def note(self, patron: str, values: Mapping[str, str]) -> None:
        """From now on this patron is found by these values (`name`, `email`, `telephone`, `handle`). Safe to repeat.
        Malformed for another kind; KeyDestroyed for someone who was erased."""
        a_patron(patron)
        known = normalised(values)
        with self._keys.held() as held:
            own, index = (held.keys([each])[each] for each in (patron_key(patron), INDEX_KEY))
            rows = [(digest(index, kind, value), patron, kind, sealed(own, value)) for kind, value in known.items()]
            with held.conn.cursor() as cursor:
                cursor.executemany(NOTE, rows)

    def find(self, values: Mapping[str, str]) -> list[str]:
        """Every patron of whom one of these is known, whoever fits most of them first. Nothing where nobody is."""
        known = normalised(values)
        with self._keys.held() as held:
            index = held.existing([INDEX_KEY]).get(INDEX_KEY)
            if index is None:
                return []
            digests = [digest(index, kind, value) for kind, value in known.items()]
            found = Counter(patron for (patron,) in held.conn.execute(FIND, (digests,)))
        return sorted(found, key=lambda each: (-found[each], each))


    def sweep(self, older_than: timedelta, on_record: Callable[[str], bool]) -> int:
        """Values that were noted so long ago, for a command of which nothing is on record, are taken out: how many."""
        seconds = older_than.total_seconds()
        with self._keys.held() as held:
            patrons = [patron for (patron,) in held.conn.execute(UNSETTLED, (seconds,))]
        if not patrons:
            return 0
        known = [each for each in patrons if on_record(each)]
        with self._keys.held() as held:
            held.conn.execute(SETTLE, (known,))
            # one that was noted again meanwhile is young
            return held.conn.execute(DROP, (sorted(set(patrons) - set(known)), seconds)).rowcount


def a_patron(patron: str) -> None:
    try:
        PATRON.validate_python(patron)
    except ValidationError:
        raise Malformed("patron", "not the id of a patron", "an id as the door gave it") from None


def hashed_anew(conn: Connection[tuple[object, ...]], index: bytes, keys: Mapping[str, bytes]) -> None:
    """Every hash again, under a fresh key of the index, from what is sealed under the keys of those who remain."""
    anew = []
    for patron, kind, stored, noted_at, on_record in conn.execute(TAKE_OUT).fetchall():
        own = keys.get(patron_key(str(patron)))
        if own is not None and isinstance(stored, bytes):
            hashed = digest(index, str(kind), opened(own, stored))
            anew.append((hashed, patron, kind, stored, noted_at, on_record))
    with conn.cursor() as cursor:
        cursor.executemany(PUT_BACK, anew)


def digest(index: bytes, kind: str, value: str) -> bytes:
    return hmac.digest(index, f"{kind}\x00{value}".encode(), "sha256")


def sealed(own: bytes, value: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(sealing_key(own)).encrypt(nonce, value.encode(), INDEX_KEY.encode())


def opened(own: bytes, stored: bytes) -> str:
    nonce, ciphertext = stored[:NONCE_BYTES], stored[NONCE_BYTES:]
    return AESGCM(sealing_key(own)).decrypt(nonce, ciphertext, INDEX_KEY.encode()).decode()


def sealing_key(own: bytes) -> bytes:
    return hmac.digest(own, b"values of the patron index", "sha256")


# the same thing said in another way is the same thing


def normalised(values: Mapping[str, str]) -> dict[str, str]:
    """Each value as it is compared; what has nothing in it to compare is left out."""
    for kind, value in values.items():
        if kind not in NORMAL_FORMS:
            raise Malformed("find", "patrons are not found by this", f"some of {', '.join(NORMAL_FORMS)}")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise Malformed(kind, "not a text, or too long", f"a text of at most {LONGEST_VALUE} characters")
    normal = {kind: NORMAL_FORMS[kind](value) for kind, value in values.items()}
    return {kind: value for kind, value in normal.items() if value}


def plain(text: str) -> str:
    """Without accents, case and wide forms."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", "".join(each for each in apart if not unicodedata.combining(each)))


def name(text: str) -> str:
    """In any order of its parts: forms and letters put the family's name first or last."""
    words: Iterable[str] = re.findall(r"\w+", plain(text))
    return " ".join(sorted(words))


def email(text: str) -> str:
    return plain(text).strip()


def telephone(text: str) -> str:
    digits = "".join(str(unicodedata.digit(each)) for each in text if each.isdigit())
    national = digits.removeprefix("00").removeprefix(COUNTRY)
    return national if len(national) == NATIONAL_DIGITS else digits


def handle(text: str) -> str:
    return plain(text).strip().removeprefix("@")


NORMAL_FORMS: dict[str, Callable[[str], str]] = {
    "name": name,
    "email": email,
    "telephone": telephone,
    "handle": handle,
}
