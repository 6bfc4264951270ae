"""Whose turn it is: to host applications one after the other, and in each to who came first."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inset.turns import HubRoom, Kind, Room, Waiting, estimated, pace, turn

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _waiting(host, number, *, profile="default", seated=False, owner=None):
    kind = Kind(host, owner or f"user-{number}", "edit run", "open", profile, "")
    return Waiting(f"{host}-{number}", kind, NOON + timedelta(seconds=number), seated)


def _room(seats, *, starts=1, **others):
    """What one hub has to give out."""
    return Room(hubs=[HubRoom("default", seats, starts)], **others)


def test_a_crowd_of_one_host_application_does_not_keep_another_one_waiting():
    crowd = [_waiting("a", number) for number in range(1000)]

    now = turn([*crowd, _waiting("b", 2000)], _room(1, served_at={"a": NOON}))

    assert now.admitted == ["b-2000"]
    assert (now.positions["b-2000"], now.positions["a-0"], now.positions["a-999"]) == (1, 2, 1001)


def test_who_was_served_longest_ago_is_next():
    waiting = [_waiting(host, number) for host in "abc" for number in range(2)]
    served = {"a": NOON, "b": NOON - timedelta(minutes=2), "c": NOON - timedelta(minutes=1)}

    assert turn(waiting, _room(4, starts=9, served_at=served)).admitted == ["b-0", "c-0", "a-0", "b-1"]


def test_who_has_a_server_joins_it_and_sessions_of_one_kind_stand_in_one_place():
    mine, joins = _waiting("a", 1, owner="ada"), _waiting("a", 5, owner="grace")
    again, other = _waiting("a", 3, owner="ada"), _waiting("a", 2)

    now = turn([mine, joins, again, other], _room(0, serving=frozenset({joins.kind})))

    assert now.admitted == ["a-5"]
    assert now.positions == {"a-1": 1, "a-3": 1, "a-2": 2}


def test_a_profile_without_room_is_a_queue_of_its_own():
    waiting = [_waiting("a", 1, profile="gpu"), _waiting("a", 2, profile="gpu"), _waiting("a", 3), _waiting("a", 4)]

    now = turn(waiting, _room(1, profiles={"gpu": 0}))

    assert now.admitted == ["a-3"]
    assert now.positions == {"a-1": 1, "a-2": 2, "a-3": 1, "a-4": 2}


def test_no_more_of_a_profile_are_let_in_than_it_has_places():
    waiting = [_waiting("a", number, profile="gpu") for number in range(3)] + [_waiting("a", 3)]

    assert turn(waiting, _room(9, starts=9, profiles={"gpu": 1})).admitted == ["a-0", "a-3"]


def test_while_the_hub_refuses_starts_nobody_else_takes_a_seat():
    now = turn([_waiting("a", 1, seated=True), _waiting("a", 2)], _room(9, starts=0))

    assert (now.admitted, now.positions) == ([], {"a-1": 1, "a-2": 2})


def _placed(waiting, *hubs):
    """Say who is placed where."""
    return dict(turn(waiting, Room(hubs=hubs)).hubs)


def test_a_server_is_placed_where_most_seats_are_free_and_where_as_many_are_on_the_hub_that_is_set_first():
    waiting = [_waiting("a", number) for number in range(5)]

    placed = _placed(waiting, HubRoom("one", 2, starts=9), HubRoom("two", 4, starts=9), HubRoom("three", 0, starts=9))

    assert placed == {"a-0": "two", "a-1": "two", "a-2": "one", "a-3": "two", "a-4": "one"}


def test_a_hub_that_refuses_or_does_not_answer_is_passed_over_while_another_one_has_a_seat():
    one, two = _waiting("a", 1), _waiting("a", 2)

    assert _placed([one], HubRoom("busy", 9, busy=True), HubRoom("well", 1)) == {"a-1": "well"}
    assert _placed([one], HubRoom("busy", 9, busy=True), HubRoom("well", 0)) == {"a-1": "busy"}
    # Its seats may be worth nothing: who comes waits for one of those that answer.
    assert _placed([one], HubRoom("away", 9, away=True), HubRoom("well", 0)) == {}
    assert _placed([one], HubRoom("away", 9, away=True)) == {"a-1": "away"}
    # It has room, and is being asked for as many starts as it may be.
    assert _placed([one, two], HubRoom("busy", 9, busy=True), HubRoom("well", 2, starts=1)) == {"a-1": "well"}


def test_who_may_not_be_on_the_hub_with_room_holds_nobody_else_up_and_stands_in_a_queue_of_its_own():
    waiting = [_waiting("a", 1), _waiting("a", 2), _waiting("b", 3), _waiting("b", 4)]
    hubs = [HubRoom("one", 0, hosts=frozenset("a")), HubRoom("two", 1, hosts=frozenset("b"))]

    now = turn(waiting, Room(hubs=hubs))

    assert (now.admitted, now.hubs) == (["b-3"], {"b-3": "two"})
    assert now.positions == {"a-1": 1, "a-2": 2, "b-3": 1, "b-4": 2}


def test_where_several_hubs_serve_all_there_is_one_queue():
    waiting = [_waiting(host, number) for host in "ab" for number in range(2)]

    now = turn(waiting, Room(hubs=[HubRoom("one", 0), HubRoom("two", 0)]))

    assert sorted(now.positions.values()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("here", "other", "better"),
    [
        ({}, {}, False),
        ({"busy": True}, {}, True),
        ({"busy": True}, {"seats": 0}, False),
        ({"busy": True}, {"busy": True}, False),
        ({"busy": True}, {"away": True}, False),
        ({"away": True}, {"seats": 0}, True),
        ({"away": True}, {"away": True}, False),
        ({"away": True}, {"hosts": frozenset("b")}, False),
        ({"hosts": frozenset("b")}, {}, True),
    ],
)
def test_a_seat_is_given_back_only_for_a_hub_that_may_take_the_start_sooner(here, other, better):
    hubs = [HubRoom(**{"name": "here", "seats": 1, **here}), HubRoom(**{"name": "other", "seats": 1, **other})]

    assert Room(hubs=hubs).is_better_without("here", "a") is better


def test_a_seat_at_a_hub_that_takes_no_new_servers_is_given_back_even_if_there_is_no_other():
    assert Room(hubs=[]).is_better_without("drained", "a")


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50)), unique=True, max_size=40),
    st.integers(1, 3),
)
def test_everybody_is_served_and_no_host_application_twice_before_another_that_waits(waiting, seats):
    left = {one.id: one for one in (_waiting(host, number) for host, number in waiting)}
    served_at: dict[str, datetime] = {}
    served = []
    while left:
        now = turn(left.values(), _room(seats, starts=9, served_at=served_at))
        assert 1 <= len(now.admitted) <= seats
        for id in now.admitted:
            one = left.pop(id)
            served.append(one)
            served_at[one.kind.host_id] = NOON + timedelta(hours=1, seconds=len(served))
    for host in "abcd":
        own = [one.since for one in served if one.kind.host_id == host]
        assert own == sorted(own)
        turns = [place for place, one in enumerate(served) if one.kind.host_id == host]
        assert all(later - earlier <= 4 for earlier, later in pairwise(turns))


def _waits(*seconds):
    return [(NOON + timedelta(seconds=begin), NOON + timedelta(seconds=end)) for begin, end in seconds]


def test_the_pace_is_that_of_the_times_in_which_there_was_a_queue():
    # Two left within a minute of waiting, then there was no queue for long, and one left after half a minute.
    waits = _waits((0, 30), (0, 60), (4000, 4030))

    assert pace(waits, waiting_since=None, now=NOON) == timedelta(seconds=30)


def test_a_queue_that_stands_still_gets_slower():
    now = NOON + timedelta(seconds=600)

    assert pace(_waits((0, 30)), waiting_since=NOON + timedelta(seconds=30), now=now) == timedelta(seconds=600)


def test_nothing_is_known_where_nobody_has_waited():
    assert pace([], waiting_since=NOON, now=NOON + timedelta(minutes=9)) is None
    assert pace(_waits((0, 1)), waiting_since=NOON, now=NOON + timedelta(minutes=9)) is None
    assert estimated(3, None) is None


def test_an_estimate_is_no_more_exact_than_can_be_known():
    assert [estimated(1, timedelta(seconds=each)) for each in (0.1, 7, 61, 1000)] == [5, 5, 60, 1020]
