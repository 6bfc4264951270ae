"""What is to become of the servers that are started ahead, and how many there are to be at which hour."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from inset.pool_plan import Ahead, Plan, Waits, Wanted, plan
from inset.settings import PoolSettings, Settings
from inset.turns import HubRoom, Kind, Room, Sort, Waiting, turn

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVERYTHING = "edit run download terminals"
DEFAULT, LARGE = Sort(EVERYTHING, "open", "default"), Sort(EVERYTHING, "open", "large")


def _ahead(id, *, hub="default", sort=DEFAULT, minutes=1, warm=True, made_of="now"):
    return Ahead(id, hub, sort, made_of, NOON - timedelta(minutes=minutes), warm)


def _wanted(default=0, large=0):
    age = timedelta(hours=1)
    return {DEFAULT: Wanted(default, age, "now"), LARGE: Wanted(large, age, "now")}


def _planned(*there, wanted, seats=5, waits=None, stopping=0, hubs=None, **others):
    room = Room(hubs=hubs or [HubRoom("default", seats)], profiles=others.pop("profiles", {}))
    return plan(there, wanted, room, waits or Waits(), stopping=stopping, now=NOON, **others)


def _kind(*, may="edit run", profile="default", host="a", environment=""):
    return Kind(host, "ada", may, "open", profile, environment)


def test_one_is_started_at_a_time_of_what_is_missed_most():
    assert _planned(wanted=_wanted(1, 2)).start == [("default", LARGE)]
    assert _planned(_ahead("a", warm=False), wanted=_wanted(2)).start == []
    assert _planned(_ahead("a"), wanted=_wanted(2)).start == [("default", DEFAULT)]
    assert _planned(_ahead("a"), wanted=_wanted(1)) == Plan([], [], [])


def test_each_hub_has_as_many():
    hubs = [HubRoom("default", 5), HubRoom("north", 5)]

    planned = _planned(_ahead("a"), wanted=_wanted(1), hubs=hubs)

    assert planned.start == [("north", DEFAULT)]


@pytest.mark.parametrize(
    "hub",
    [HubRoom("default", 1), HubRoom("default", 5, busy=True), HubRoom("default", 5, away=True)],
    ids=["one seat", "busy", "away"],
)
def test_none_is_started_where_real_starts_may_need_the_room(hub):
    assert _planned(wanted=_wanted(1), hubs=[hub]).start == []


def test_none_is_started_while_somebody_waits_or_after_one_that_failed_or_where_a_profile_is_full():
    assert _planned(wanted=_wanted(1), waits=Waits(asking=True)).start == []
    assert _planned(wanted=_wanted(1, 1), not_now=[("default", DEFAULT)]).start == [("default", LARGE)]
    assert _planned(wanted=_wanted(1, 1), profiles={"default": 0}).start == [("default", LARGE)]


def test_what_is_too_much_or_no_longer_wanted_or_at_a_drained_hub_is_given_up_the_oldest_first():
    there = [_ahead("old", minutes=9), _ahead("new"), _ahead("large", sort=LARGE), _ahead("drained", hub="north")]

    assert sorted(_planned(*there, wanted=_wanted(1)).give_up) == ["drained", "large", "old"]
    assert sorted(_planned(*there, wanted={}).give_up) == ["drained", "large", "new", "old"]


def test_what_a_profile_says_no_longer_is_replaced_at_once_and_what_is_old_one_by_one():
    assert _planned(_ahead("a", made_of="before"), _ahead("b"), wanted=_wanted(1)).replace == ["a"]
    old = [_ahead("a", minutes=70), _ahead("b", minutes=90)]
    assert _planned(*old, wanted=_wanted(2)).replace == ["b"]
    assert _planned(*old, wanted=_wanted(2), stopping=1).replace == []
    assert _planned(old[0], wanted=_wanted(2)).replace == []  # another one is started first


def test_for_each_who_waits_for_a_seat_one_is_given_up():
    there = [_ahead("a", minutes=3), _ahead("b", minutes=2), _ahead("c", warm=False)]
    waits = Waits(unplaced=[_kind(), _kind(host="b")], asking=True)

    assert _planned(*there, wanted=_wanted(3), seats=0, waits=waits).give_up == ["a", "b"]
    # What is stopping already is his.
    assert _planned(*there, wanted=_wanted(3), seats=0, waits=waits, stopping=1).give_up == ["a"]
    assert _planned(*there, wanted=_wanted(3), seats=1, waits=waits).give_up == []
    # Nor is one that will do for him when it runs.
    soon = Waits(unplaced=[_kind(may=EVERYTHING)], asking=True)
    assert _planned(_ahead("c", warm=False), wanted=_wanted(3), seats=0, waits=soon).give_up == []


def test_for_who_waits_for_a_place_of_a_profile_one_of_that_profile_is_given_up():
    there = [_ahead("a"), _ahead("b", sort=LARGE)]
    waits = Waits(unplaced=[_kind(profile="large")], full={"large"})

    assert _planned(*there, wanted=_wanted(1, 1), waits=waits).give_up == ["b"]


def test_at_a_hub_that_is_for_others_none_is_given_up():
    hubs = [HubRoom("default", 0, hosts=frozenset("b")), HubRoom("north", 0)]
    waits = Waits(unplaced=[_kind(host="a")], asking=True)

    assert _planned(_ahead("a"), wanted=_wanted(1), hubs=hubs, waits=waits).give_up == []


def _turn(kind, *, seats=0, warm, profiles=None, **hub):
    room = Room(hubs=[HubRoom("default", seats, warm=warm, **hub)], profiles=profiles or {})
    return turn([Waiting("s", kind, NOON, False)], room)


def test_who_fits_gets_one_without_a_seat_and_without_a_place_of_his_profile():
    fits = _kind(may=EVERYTHING)

    assert _turn(fits, warm={DEFAULT: 1}).hubs == {"s": "default"}
    assert _turn(fits, warm={DEFAULT: 1}, profiles={"default": 0}).hubs == {"s": "default"}
    assert _turn(fits, warm={DEFAULT: 1}, busy=True, starts=0).hubs == {"s": "default"}


@pytest.mark.parametrize(
    ("kind", "hub"),
    [
        (_kind(), {}),
        (_kind(may=EVERYTHING, profile="large"), {}),
        (_kind(may=EVERYTHING, environment="hash"), {}),
        (_kind(may=EVERYTHING), {"hosts": frozenset("b")}),
        (_kind(may=EVERYTHING), {"away": True}),
    ],
    ids=["may", "profile", "environment", "hosts", "away"],
)
def test_who_does_not_fit_waits_for_a_seat(kind, hub):
    assert _turn(kind, warm={DEFAULT: 1}, **hub).admitted == []


def test_as_many_get_one_as_there_are():
    room = Room(hubs=[HubRoom("default", 0, warm={DEFAULT: 2}), HubRoom("north", 0, warm={DEFAULT: 1})])
    waiting = [
        Waiting(f"s{number}", Kind("a", f"user-{number}", EVERYTHING, "open", "default", ""), NOON, False)
        for number in range(5)
    ]

    now = turn(waiting, room)

    assert now.hubs == {"s0": "default", "s1": "default", "s2": "north"}


# 2026-01-02 is a Friday; in Berlin it is one hour later.
@pytest.mark.parametrize(
    ("moment", "servers"),
    [
        ("2026-01-02T06:59Z", 2),
        ("2026-01-02T07:00Z", 8),
        ("2026-01-02T08:59Z", 8),
        ("2026-01-02T09:00Z", 2),
        ("2026-01-02T21:00Z", 0),
        ("2026-01-03T04:59Z", 0),
        ("2026-01-03T05:00Z", 2),
        ("2026-01-03T07:00Z", 2),
        ("2026-01-03T22:00Z", 2),
    ],
)
def test_how_many_there_are_to_be_follows_the_clock_of_a_time_zone(moment, servers):
    working = ["mon", "tue", "wed", "thu", "fri"]
    pool = PoolSettings(
        servers=2,
        time_zone="Europe/Berlin",
        hours=[
            {"days": working, "begin": "08:00", "end": "10:00", "servers": 8},
            {"days": working, "begin": "22:00", "end": "06:00", "servers": 0},
        ],
    )

    assert pool.wanted(datetime.fromisoformat(moment)) == servers


@pytest.mark.parametrize(
    "pool",
    [
        {"time_zone": "Mars/Olympus"},
        {"servers": -1},
        {"hours": [{"begin": "08:00", "end": "08:00", "servers": 1}]},
        {"hours": [{"begin": "08:00", "end": "25:00", "servers": 1}]},
        {"hours": [{"days": ["noday"], "begin": "08:00", "end": "09:00", "servers": 1}]},
        {"server": 3},
    ],
)
def test_what_can_not_be_meant_is_refused(pool):
    with pytest.raises(ValidationError):
        PoolSettings.model_validate(pool)


@pytest.mark.parametrize("told", ["3", '{"servers": 3}'])
def test_it_is_one_setting(monkeypatch, tmp_path, told):
    monkeypatch.setenv("INSET_POOL", f'{{"default": {told}, "large": 1}}')
    monkeypatch.setenv("INSET_PUBLIC_URL", "http://localhost:8091")
    monkeypatch.setenv("INSET_SIGNING_KEY_FILE", str(tmp_path / "key.pem"))
    monkeypatch.setenv("INSET_HUB__TOKEN", "t")

    pool = Settings().pool

    assert {name: one.servers for name, one in pool.items()} == {"default": 3, "large": 1}
