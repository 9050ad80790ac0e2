"""A small Discord on loopback: gateway, REST and CDN, for the unmodified discord.py in a process of its own.

It is a double written from documents, and models what Pastel leans on: interaction deadlines and tokens on a clock that
tests set, messages with their stored files, nonces, refusals and faults, and a journal of everything that was visible.
What it does not know fails loudly: an unknown route or a malformed body becomes a violation that fails the test.
"""
