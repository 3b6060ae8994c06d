"""Who may do what: SASL, ACLs, users, tokens."""

from __future__ import annotations
