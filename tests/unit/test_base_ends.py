"""Why sessions end."""

from connector.base.ends import EndReason, ResultClass

DESIGN = {
    ResultClass.SUCCESS: "room_empty room_closed agent_hangup requested rule_removed max_duration drained removed",
    ResultClass.CLIENT_ERROR: "agent_rejected livekit_rejected room_encrypted",
    ResultClass.UPSTREAM_ERROR: "agent_unreachable agent_lost livekit_unreachable",
    ResultClass.SERVER_ERROR: "engine_lost overloaded internal_error",
    ResultClass.INDETERMINATE: "replaced claim_lost",
}


def test_the_reasons_are_the_designs_closed_set() -> None:
    """Every reason stands in the design's table under its result class, and no other exists."""
    expected = {reason: result for result, reasons in DESIGN.items() for reason in reasons.split()}
    assert expected == {reason.value: reason.result for reason in EndReason}
