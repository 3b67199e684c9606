"""Bodies travel as JSON; what they say of orientations makes no other body of them."""

from __future__ import annotations

import json
from dataclasses import replace

from la4vla.data.readers.droid import DROID
from la4vla.schema.embodiment import Embodiment


def test_a_body_reads_back_as_written():
    back = Embodiment.from_json(json.loads(json.dumps(DROID.to_json())))
    assert back == DROID and back.orientation == (3, 4, 5) and back.orientation_form == "euler_xyz"


def test_a_body_from_before_orientations_were_recorded_is_the_same_body():
    fields = DROID.to_json()
    del fields["orientation"], fields["orientation_form"]
    older = Embodiment.from_json(fields)
    assert older == DROID and hash(older) == hash(DROID) and older.orientation is None
    assert replace(DROID, control_hz=10.0) != DROID
