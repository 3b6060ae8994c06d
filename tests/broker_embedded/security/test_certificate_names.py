"""Subjects of certificates as Java prints them, and the rules that shorten them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_embedded.security.names import MappingRules, subject_name

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime(2024, 1, 1, tzinfo=UTC)
Attribute = tuple[x509.ObjectIdentifier, str]


def certificate(*names: Attribute | list[Attribute]) -> bytes:
    """One whose subject has these names, in this order; a list is one name of several values."""
    rows = [
        x509.RelativeDistinguishedName([x509.NameAttribute(*a) for a in ([n] if isinstance(n, tuple) else n)])
        for n in names
    ]
    name = x509.Name(rows)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, NOW, NOW + timedelta(days=1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


CN, OU, ORG, C = (
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.COUNTRY_NAME,
)

SUBJECTS = [
    ([(C, "GB"), (ORG, "Analytical"), (OU, "engines"), (CN, "ada")], "CN=ada,OU=engines,O=Analytical,C=GB"),
    ([], ""),
    ([(CN, "Ada, Countess")], "CN=Ada\\, Countess"),
    ([(CN, 'a+b=c<d>"e"\\;#')], 'CN=a\\+b\\=c\\<d\\>\\"e\\"\\\\\\;\\#'),
    ([(CN, " a ")], "CN=\\ a\\ "),
    ([(CN, "Zoë")], "CN=Zoë"),
    ([[(CN, "ada"), (NameOID.USER_ID, "7")]], "CN=ada+UID=7"),
    ([(NameOID.DOMAIN_COMPONENT, "org"), (NameOID.DOMAIN_COMPONENT, "example")], "DC=example,DC=org"),
    (
        [(NameOID.LOCALITY_NAME, "L"), (NameOID.STATE_OR_PROVINCE_NAME, "S"), (NameOID.STREET_ADDRESS, "A")],
        "STREET=A,ST=S,L=L",
    ),
    ([(NameOID.EMAIL_ADDRESS, "a@b.c"), (CN, "ada")], "CN=ada,1.2.840.113549.1.9.1=#16056140622e63"),
    ([(NameOID.DOMAIN_COMPONENT, "é")], "DC=é"),  # no ASCII, though its type says so
    ([(NameOID.SERIAL_NUMBER, "7")], "2.5.4.5=#130137"),
]


@pytest.mark.parametrize(("names", "printed"), SUBJECTS, ids=[printed for _, printed in SUBJECTS])
def test_subjects(names: list[Attribute | list[Attribute]], printed: str) -> None:
    assert subject_name(certificate(*names)) == printed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="=#"), min_size=1, max_size=16
        ),
        max_size=5,
    )
)
def test_agrees_with_rfc_4514_where_java_does(values: list[str]) -> None:
    """RFC 4514 escapes a space only at the very ends, Java all of them there; "=" and "#" only Java."""
    values = [value.strip(" ") or "x" for value in values]
    found = certificate(*[(CN, value) for value in values])

    assert subject_name(found) == x509.load_der_x509_certificate(found).subject.rfc4514_string()


RULES = [
    ("", "CN=ada,C=GB", "CN=ada,C=GB"),
    ("DEFAULT", "CN=ada,C=GB", "CN=ada,C=GB"),
    ("RULE:^CN=(.*?),.*$/$1/", "CN=Ada,C=GB", "Ada"),
    ("RULE:^CN=(.*?),.*$/$1/L", "CN=Ada,C=GB", "ada"),
    ("RULE:^CN=(.*?),.*$/$1/U", "CN=Ada,C=GB", "ADA"),
    ("RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/", "CN=Ada,OU=engines,C=GB", "Ada@engines"),
    ("RULE:^CN=(.*?)$/$1-$2/", "CN=Ada", "Ada-$2"),
    ("RULE:^CN=(.*?)$/$12/", "CN=Ada", "Ada2"),
    ("RULE:^CN=(.*?)$/\\$1/", "CN=Ada", "$1"),
    ("RULE:^CN=nobody$/x/ , RULE:^CN=(.*)$/$1/,DEFAULT", "CN=Ada", "Ada"),
    ("RULE:^CN=(.*)\\/(.*)$/$2/", "CN=a/b", "b"),
    ("RULE:^CN=nobody$/x/", "CN=Ada", None),
    ("RULE:CN/x/", "CN=Ada", None),
]


@pytest.mark.parametrize(("rules", "subject", "name"), RULES)
def test_mapping_rules(rules: str, subject: str, name: str | None) -> None:
    assert MappingRules(rules).apply(subject) == name


@pytest.mark.parametrize("rules", ["RULE:^CN$/x", "nonsense", "DEFAULT DEFAULT", "RULE:(/x/", "RULE:a/b/X"])
def test_what_is_no_rule(rules: str) -> None:
    with pytest.raises(ValueError, match=r"ssl\.principal\.mapping\.rules"):
        MappingRules(rules)
