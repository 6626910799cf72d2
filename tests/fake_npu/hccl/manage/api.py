"""A FAKE, see tests/fake_ascend.py."""
from fake_ascend import get_rank_id, get_rank_size
