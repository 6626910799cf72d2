"""A FAKE, see tests/fake_ascend.py: written from the contract, never run against the real one."""
