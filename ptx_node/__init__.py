"""ptx-node: a radiology AI node that receives, reads, answers and keeps count. Research software, not a medical device."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ptx-node")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+unknown"
