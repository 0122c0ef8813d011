"""Who made a time stamp (RFC 3161), and on what: held against the authority that the library chose.

A stamp that anybody could have made says nothing of the time. So its signer's certificate must lead to one that was
configured; that the certificate has run out since then takes nothing from what it stamped before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from services.audit.published import Published, files_in
from services.audit.signed import Finding
from services.settings import Settings, SettingsError

WOULD_PASS = "a PEM file with the authority's root certificate"  # noqa: S105  # no password


class NotTheirs(Exception):
    """The stamp is not on this, or not by the authority: in a few words, which."""


class Authority(NamedTuple):
    """`trusted`: the certificates, the root among them, to which that of a stamp's signer must lead."""

    trusted: tuple[x509.Certificate, ...]

    @classmethod
    def of_file(cls, file: Path) -> Authority:
        try:
            return cls(tuple(x509.load_pem_x509_certificates(file.read_bytes())))
        except OSError as error:
            raise SettingsError(f"tsa_certificate: {file}: {error.strerror}; would pass: {WOULD_PASS}") from None
        except ValueError:
            raise SettingsError(f"tsa_certificate: {file} holds no certificate; would pass: {WOULD_PASS}") from None

    def must_have_stamped(self, response: TimeStampResponse, note: bytes) -> None:
        verifier = VerifierBuilder(roots=list(self.trusted)).build()
        try:
            verifier.verify_message(response, note)
        except (VerificationError, ValueError) as error:
            raise NotTheirs(str(error).rstrip(".")) from None


def authority_of(settings: Settings) -> Authority | None:
    return Authority.of_file(settings.tsa_certificate) if settings.tsa_certificate else None


def there_are_stamps(published: Published) -> bool:
    return any(True for _ in files_in(published.folder / "timestamps"))


def wrong_stamps(published: Published, authority: Authority | None) -> Iterator[Finding]:
    """Time stamps that lie beside a checkpoint and are not on it, or by another than the authority. Without one nothing
    is said of who made them."""
    for file in sorted(files_in(published.folder / "timestamps")):
        checkpoint = published.folder / "checkpoints" / file.stem
        try:
            response, note = decode_timestamp_response(file.read_bytes()), checkpoint.read_bytes()
            stamped = response.tst_info.message_imprint.message
        except (ValueError, OSError):
            yield Finding(str(file), "this is no time stamp on a checkpoint that is published")
            continue
        if stamped != hashlib.sha512(note).digest():
            yield Finding(str(file), f"the time stamp is not on the checkpoint {checkpoint}")
        elif authority:
            try:
                authority.must_have_stamped(response, note)
            except NotTheirs as why:
                yield Finding(str(file), f"the time stamp is not by the authority of IMPRIMATUR_TSA_CERTIFICATE: {why}")
