"""A FAKE, see tests/fake_ascend.py."""
calls = []


def enable_v1():
  """Would change the whole process; here it is only counted."""
  calls.append('enable_v1')
