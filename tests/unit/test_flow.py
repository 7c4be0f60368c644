"""A flow chart whose counts do not add up cannot be made."""

from __future__ import annotations

import pytest

from ptx_node.errors import UsageError
from ptx_node.validation.flow import Flow, Left, Step

STEPS = (
    Step("received", "radiographs received", 10, (Left("lateral", "lateral view", 2), Left("failed", "no answer", 1))),
    Step("answered", "", 7),
)
ENDS = (Step("positive", "", 3), Step("negative", "", 4))


def test_a_flow_comes_back_from_its_file_as_it_was():
    flow = Flow(STEPS, ENDS)
    assert flow == Flow.from_json(flow.to_json())


def test_nobody_is_lost_between_two_boxes_or_before_the_last():
    with pytest.raises(UsageError, match="of 10 in 'received' 3 leave, but 'answered' has 6"):
        Flow((STEPS[0], Step("answered", "", 6)))
    with pytest.raises(UsageError, match="the last boxes have 3"):
        Flow(STEPS, ENDS[:1])
