"""Connectors to services elsewhere, which people add: found, listed with their errors, asked, never imported here."""
