"""A model on loopback segments every episode, or its failure is listed; nothing is lost and nothing paid twice."""

from __future__ import annotations

import json
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from la4vla.construction.segmenters.vlm import VLMSegmenter
from la4vla.construction.vlm.bill import Price
from la4vla.construction.vlm.ledger import Ledger
from la4vla.schema.primitives import Primitive

PROGRAM = Path(__file__).with_name("vlm_build.py")
twin = SimpleNamespace(**runpy.run_path(str(PROGRAM)))


def said(*segments, **words) -> str:
    """An answer of ``(subaction, status, directions, instruction, start, end)`` rows."""
    names = ("subaction", "status", "directions", "instruction", "start", "end")
    return json.dumps({"segments": [dict(zip(names, row, strict=True)) for row in segments]})


MOVE = ("move", "EMPTY", ["forward"], "move forward while holding nothing", 0.0, 1.0)
GRASP = ("grasp", "HOLDING", [], "align with and grasp the object", 1.0, 1.75)
LIFT = ("lift", "HOLDING", ["upward"], "lift the object upward while holding it", 1.75, 3.0)
GOOD = said(MOVE, GRASP, LIFT)
UNUSABLE = {
    "malformed": (GOOD[:-30], "no whole JSON"),
    "overlapping": (said(MOVE, GRASP, (*LIFT[:4], 1.5, 3.0)), "before segment 2 ends"),
    "gap": (said(MOVE, (*LIFT[:4], 2.2, 3.0)), "nothing covers 1.00 to 2.20 s"),
    "unknown action": (said(MOVE, ("hover", *LIFT[1:])), "segments.1.subaction"),
    "too long": (said(MOVE, GRASP, (*LIFT[:5], 9.0)), "leaves the episode"),
    "too short": (said(MOVE, (*GRASP[:5], 1.1), (*LIFT[:4], 1.1, 3.0)), "shorter than 0.2 s"),
    "empty list": (said(), "there are no segments"),
    "empty": ("", "it is empty"),
    "words": ("I cannot see a robot.", "no JSON"),
}


def entries(folder: Path) -> dict[str, object]:
    return {entry.key: entry for entry in Ledger(folder / "episodes").entries()}


def test_an_answer_becomes_segments(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD)
    segments = twin.segmenter(server.url, tmp_path).segment(twin.episode(0))
    assert [(s.start, s.stop, s.primitive, s.directions) for s in segments] == [
        (0, 20, Primitive.MOVE, ("forward",)),
        (20, 35, Primitive.GRASP, ()),
        (35, 60, Primitive.LIFT, ("upward",)),
    ]
    assert [s.instruction for s in segments] == [MOVE[3], GRASP[3], LIFT[3]]


def test_the_model_is_shown_rules_keyframes_and_labelled_views(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD)
    twin.segmenter(server.url, tmp_path, extra={"enable_thinking": False}).segment(twin.episode(7))
    (body,) = server.asked
    assert body["model"] == "tiny-vl" and body["temperature"] == 0 and body["enable_thinking"] is False
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["$defs"]["Primitive"]["enum"] == [str(p) for p in Primitive]
    rules, (first, *rest) = body["messages"][0]["content"], body["messages"][1]["content"]
    assert all(f"`{primitive}`" in rules for primitive in Primitive) and "HOLDING" in rules
    assert "task 7" in first["text"] and '"left", "wrist"' in first["text"] and "3.00 seconds" in first["text"]
    outline = [part.get("text") or part["image_url"]["url"][:23] for part in rest[:-1]]
    image = "data:image/jpeg;base64,"
    shown = [word for time_s in ("0.00", "1.00", "2.00", "2.75") for word in (f"<{time_s} s>", image)]
    assert outline == ['View "left":', *shown, 'View "wrist":', *shown]


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_answer_is_told_what_is_wrong_and_asked_again(kind, server, reply, tmp_path):
    text, objection = UNUSABLE[kind]
    server.script = lambda task, turn: reply(GOOD if turn else text)
    assert len(twin.segmenter(server.url, tmp_path).segment(twin.episode(0))) == 3
    *_, bad, told = server.asked[1]["messages"]
    assert bad == {"role": "assistant", "content": text or "(empty)"}
    assert objection in told["content"]
    (entry,) = entries(tmp_path).values()
    assert (entry.usage.answers, entry.usage.prompt_tokens, entry.usage.completion_tokens) == (2, 2000, 200)


def test_an_answer_that_was_cut_off_hears_so(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD) if turn else reply(GOOD[:40], finish_reason="length")
    twin.segmenter(server.url, tmp_path).segment(twin.episode(0))
    assert "cut off after 100 tokens" in server.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize("structured", ["json_object", "none"])
def test_the_papers_bare_list_between_words_is_read_too(structured, server, reply, tmp_path):
    rows = [{"subaction": r[0], "instruction": r[3], "start": r[4], "end": r[5]} for r in (MOVE, GRASP, LIFT)]
    server.script = lambda task, turn: reply(f"<think>[no]</think>Here it is:\n```json\n{json.dumps(rows)}\n```")
    segments = twin.segmenter(server.url, tmp_path, structured=structured).segment(twin.episode(0))
    assert [s.directions for s in segments] == [("forward",), (), ("upward",)]
    assert server.asked[0].get("response_format") == {"json_object": {"type": "json_object"}}.get(structured)


def test_attempts_are_bounded_and_the_failure_says_why(server, reply, tmp_path):
    server.script = lambda task, turn: reply(UNUSABLE["overlapping"][0])
    with pytest.raises(ValueError, match=r"none of 2 answers can be used.* starts at 1\.50 s"):
        twin.segmenter(server.url, tmp_path, attempts=2).segment(twin.episode(0))
    assert len(server.asked) == 2


HURRY = {"retry-after-ms": "20"}


@pytest.mark.parametrize(
    ("trouble", "settings"),
    [
        ({"status": 429, "headers": HURRY}, {}),
        ({"status": 500, "headers": HURRY}, {}),
        ({"status": 503}, {}),
        ({"text": GOOD, "wait_s": 2.5}, {"timeout_s": 1.5}),
        ({"raw": b"<html>Bad gateway</html>"}, {}),
    ],
)
def test_trouble_that_passes_is_waited_out(trouble, settings, server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD) if turn else reply(**trouble)
    assert len(twin.segmenter(server.url, tmp_path, **settings).segment(twin.episode(0))) == 3
    assert len(server.asked) == 2 and server.asked[0] == server.asked[1]


COMPLETION = {"choices": [{"message": {"content": GOOD}}], "model": "m"}


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        ({**COMPLETION, "model": None, "usage": None}, (0, 0)),
        ({**COMPLETION, "usage": {"prompt_tokens": 900, "completion_tokens": None}}, (900, 0)),
        ({**COMPLETION, "choices": [{"message": {"content": f"{GOOD} \ud83d"}, "finish_reason": None}]}, (0, 0)),
    ],
)
def test_a_completion_with_something_missing_is_paid_for_once(sent, usage, server, reply, tmp_path):
    server.script = lambda task, turn: reply(raw=json.dumps(sent).encode())
    assert len(twin.segmenter(server.url, tmp_path).segment(twin.episode(0))) == 3
    assert len(server.asked) == 1
    (entry,) = entries(tmp_path).values()
    assert (entry.usage.prompt_tokens, entry.usage.completion_tokens) == usage


def test_retry_after_is_honoured(server, reply, tmp_path):
    came = []
    server.script = lambda task, turn: (
        came.append(time.monotonic()) or (reply(GOOD) if turn else reply(status=429, headers={"Retry-After": "1"}))
    )
    twin.segmenter(server.url, tmp_path).segment(twin.episode(0))
    assert came[1] - came[0] >= 1.0  # its own backoff would begin with half a second


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"status": 429, "headers": HURRY}, "rate limited"),
        ({"status": 500, "headers": HURRY}, "server error"),
        ({"status": 400}, "request refused"),
        ({"wait_s": 2.5}, "timed out"),
        ({"raw": b"{}"}, "broken reply"),
    ],
)
def test_trouble_that_stays_fails_this_episode_and_the_next_goes_on(trouble, reason, server, reply, tmp_path):
    server.script = lambda task, turn: reply(**trouble) if task == "task 0" else reply(GOOD)
    cutter = twin.segmenter(server.url, tmp_path, timeout_s=1.5 if "wait_s" in trouble else 20.0, retries=1)
    results = twin.run_all(cutter, range(2))
    assert reason in results["episode-000"] and len(results["episode-001"]) == 3
    assert reason in entries(tmp_path)["episode-000"].failure
    # What failed for want of an answer is asked anew when run anew; what was answered is not.
    server.script = lambda task, turn: reply(GOOD)
    asked = len(server.asked)
    assert all(len(segments) == 3 for segments in twin.run_all(cutter, range(2)).values())
    assert len(server.asked) == asked + 1 and entries(tmp_path)["episode-000"].failure is None


def test_everything_in_turn_every_episode_ends_and_none_is_paid_twice(server, reply, tmp_path):
    kinds = {
        "well": [reply(GOOD)],
        "malformed": [reply(GOOD[:-30]), reply(GOOD)],
        "overlapping": [reply(UNUSABLE["overlapping"][0]), reply(GOOD)],
        "empty": [reply(""), reply(GOOD)],
        "slowly": [reply(GOOD, wait_s=0.3)],
        "429": [reply(status=429, headers=HURRY), reply(GOOD)],
        "500": [reply(status=500, headers=HURRY), reply(GOOD)],
        "never well": [reply(said())],
        "never": [reply(status=500, headers=HURRY)],
    }
    order = list(kinds)

    def script(task, turn):
        replies = kinds[order[int(task.split()[1]) % len(order)]]
        return replies[min(turn, len(replies) - 1)]

    server.script = script
    numbers = range(3 * len(order))
    results = twin.run_all(twin.segmenter(server.url, tmp_path, price=Price(1.0, 2.0)), numbers)
    failed = {key for key, result in results.items() if isinstance(result, str)}
    assert failed == {f"episode-{n:03d}" for n in numbers if order[n % len(order)].startswith("never")}
    assert {k: e.failure for k, e in entries(tmp_path).items() if e.failure} == {k: results[k] for k in failed}
    assert len(entries(tmp_path)) == len(numbers) and 1 < server.busiest <= 4
    assert set(server.answered.values()) == {1}

    answers, lines = (
        sum(server.answered.values()),
        twin.segmenter(server.url, tmp_path, price=Price(1.0, 2.0)).account(),
    )
    assert lines[0].startswith(f"21 episodes segmented, 6 failed, {answers} answers: {1000 * answers:,} tokens in")
    assert f"{1200 * answers / 1e6:.2f} USD" in lines[0]
    assert len([line for line in lines if line.startswith("failed: episode-")]) == 6

    before = len(server.asked)
    assert twin.run_all(twin.segmenter(server.url, tmp_path), numbers) == results
    assert sum(server.answered.values()) == answers  # failures for want of an answer alone are asked again
    assert {b["messages"][1]["content"][0]["text"] for b in server.asked[before:]} == {
        b["messages"][1]["content"][0]["text"] for b in server.asked if _number(b) % len(order) == order.index("never")
    }


def _number(body) -> int:
    text = body["messages"][1]["content"][0]["text"]
    return int(text.split("demonstrator: task ")[1].split()[0])


def test_kill_9_loses_no_answer_and_a_rerun_pays_for_none_again(server, reply, tmp_path):
    held = threading.Event()
    server.script = lambda task, turn: reply(GOOD) if int(task.split()[1]) < 5 else reply(held=held)
    words = [sys.executable, str(PROGRAM), server.url, str(tmp_path), "12"]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    answers = tmp_path / "answers"
    while len(list(answers.glob("*/*.json"))) < 5 or server.busy < 4:
        assert process.poll() is None, "the program ended by itself"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.set()
    assert sum(server.answered.values()) == 5
    server.script = lambda task, turn: reply(GOOD)
    results = twin.run_all(twin.segmenter(server.url, tmp_path), range(12))
    assert [len(segments) for segments in results.values()] == [3] * 12
    assert len(server.answered) == 12 and set(server.answered.values()) == {1}
    assert not list(answers.glob("*/.*")) and len(entries(tmp_path)) == 12


def test_two_that_want_one_answer_at_once_pay_for_one(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD, wait_s=0.2)
    cutter = twin.segmenter(server.url, tmp_path)
    begun = [cutter.begin(replace(twin.episode(3), key=f"copy-{i}")) for i in range(3)]
    assert [len(pending.result()) for pending in begun] == [3, 3, 3] and len(server.asked) == 1


def test_a_key_is_read_from_the_environment_and_written_nowhere(server, reply, tmp_path, monkeypatch):
    server.script = lambda task, turn: reply(GOOD)
    cutter = twin.segmenter(server.url, tmp_path, api_key_env="TINY_KEY")
    with pytest.raises(ValueError, match="environment variable TINY_KEY must hold the key"):
        cutter.segment(twin.episode(0))
    monkeypatch.setenv("TINY_KEY", "sk-very-secret")
    cutter.segment(twin.episode(0))
    assert server.keys == {"Bearer sk-very-secret"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]
    assert b"very-secret" not in pickle.dumps(cutter)
    server.script = lambda task, turn: reply(status=401)
    with pytest.raises(OSError, match=r"refuses: status 401: no\. Check base_url, model, api_key_env") as refusal:
        cutter.segment(twin.episode(1))
    assert "very-secret" not in str(refusal.value)


def test_a_key_with_a_line_end_is_sent_without_and_its_echo_is_hidden(server, reply, tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_KEY", "sk-very-secret \n")
    cutter = twin.segmenter(server.url, tmp_path, api_key_env="TINY_KEY", attempts=1)
    echo = json.dumps({"error": {"message": "flagged, key sk-very-secret"}}).encode()
    server.script = lambda task, turn: {
        "task 0": reply(status=403, raw=echo), "task 1": reply("Your key is sk-very-secret."), "task 2": reply(raw=echo)
    }.get(task, reply(GOOD))  # fmt: skip
    results = twin.run_all(cutter, range(4))
    assert "status 403: flagged, key [hidden]" in results["episode-000"] and len(results["episode-003"]) == 3
    assert server.keys == {"Bearer sk-very-secret"} and "very-secret" not in str(results)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]


def refusal(reply, status, message, **more):
    return reply(status=status, raw=json.dumps({"error": {"message": message, **more}}).encode(), headers=HURRY)


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_refused_questions_lose_their_episodes_and_no_others(status, server, reply, tmp_path):
    flagged = refusal(reply, status, "Flagged as harmful.", code="content_policy")
    server.script = lambda task, turn: reply(GOOD) if task == "task 0" else flagged
    cutter = twin.segmenter(server.url, tmp_path, give_up_after=2, concurrency=1)
    results = twin.run_all(cutter, range(6))
    assert len(results["episode-000"]) == 3
    for number in range(1, 6):
        assert (
            f"request refused): status {status}: Flagged as harmful (content_policy)."
            in results[f"episode-{number:03d}"]
        )
    # Run anew, the answer that is kept says that the endpoint does answer.
    again = twin.segmenter(server.url, tmp_path, give_up_after=2, concurrency=1)
    assert all("Flagged" in text for text in twin.run_all(again, range(1, 6)).values())


def test_refusals_alone_end_the_set_and_say_why(server, reply, tmp_path):
    server.script = lambda task, turn: refusal(reply, 403, "This key may not use tiny-vl")
    cutter = twin.segmenter(server.url, tmp_path, give_up_after=2)
    with pytest.raises(ValueError, match="request refused"):
        cutter.segment(twin.episode(0))
    with pytest.raises(
        OSError, match=r"left 2 questions in a row unanswered.*status 403: This key may not use tiny-vl"
    ):
        cutter.segment(twin.episode(1))


@pytest.mark.parametrize(
    ("status", "message", "more"),
    [
        (402, "Insufficient credits", {}),
        (404, "The model tiny-vl does not exist", {}),
        (400, "Access denied, account in arrears", {"code": "Arrearage"}),
        (429, "You exceeded your current quota", {"type": "insufficient_quota"}),
    ],
)
def test_what_concerns_everybody_ends_the_set_with_the_providers_reason(status, message, more, server, reply, tmp_path):
    server.script = lambda task, turn: refusal(reply, status, message, **more)
    with pytest.raises(OSError, match=f"refuses: status {status}: {message}"):
        twin.segmenter(server.url, tmp_path, retries=0).segment(twin.episode(0))


def completion(message, finish_reason="stop") -> bytes:
    usage = {"prompt_tokens": 900, "completion_tokens": 90}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}).encode()


@pytest.mark.parametrize(
    ("message", "finish_reason", "reason"),
    [
        ({"content": GOOD[:40]}, "length", "(answer cut off).*cut off after 90 tokens"),
        ({"content": None}, "content_filter", "(content filter).*content filter stopped it"),
        ({"content": None, "refusal": "I cannot help."}, "stop", "(refused by the model).*I cannot help"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", "(refused by the model).*No"),
    ],
)
def test_why_an_answer_ended_is_the_episodes_reason(message, finish_reason, reason, server, reply, tmp_path):
    server.script = lambda task, turn: reply(raw=completion(message, finish_reason))
    with pytest.raises(ValueError, match=reason.replace("(", "\\(", 1).replace(")", "\\)", 1)):
        twin.segmenter(server.url, tmp_path, attempts=1).segment(twin.episode(0))


def test_content_in_typed_parts_is_read_and_counted(server, reply, tmp_path):
    parts = [
        {"type": "thinking", "thinking": "[1]"},
        {"type": "text", "text": GOOD[:30]},
        {"type": "text", "text": GOOD[30:]},
    ]
    server.script = lambda task, turn: reply(raw=completion({"content": parts}))
    assert len(twin.segmenter(server.url, tmp_path).segment(twin.episode(0))) == 3
    (entry,) = entries(tmp_path).values()
    assert (entry.usage.prompt_tokens, entry.usage.completion_tokens) == (900, 90)


def test_limits_that_are_null_are_left_out(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD)
    cutter = twin.segmenter(server.url, tmp_path)
    replace(cutter, endpoint=replace(cutter.endpoint, max_tokens=None, temperature=None)).segment(twin.episode(0))
    assert not {"max_tokens", "temperature"} & server.asked[0].keys()


@pytest.mark.parametrize("drip", [b" ", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_drips_does_not_lengthen_the_wait(drip, tmp_path):
    def pour(listening):
        peer, _ = listening.accept()
        with peer:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if drip == b" " else drip
            byte = b"1\r\n \r\n" if drip == b" " else b"x"
            try:
                peer.sendall(head)
                while True:
                    peer.sendall(byte)
                    time.sleep(0.05)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=pour, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"timed out.*within 0\.8 s"):
            twin.segmenter(url, tmp_path, timeout_s=0.8, retries=0).segment(twin.episode(0))
        assert time.monotonic() - began < 3.0


def test_an_endpoint_that_answers_nobody_stops_the_build(server, reply, tmp_path):
    server.script = lambda task, turn: reply(status=500, headers=HURRY)
    cutter = twin.segmenter(server.url, tmp_path, retries=0, give_up_after=3)
    for number in range(2):
        with pytest.raises(ValueError, match="server error"):
            cutter.segment(twin.episode(number))
    with pytest.raises(OSError, match=r"left 3 questions in a row unanswered.* run the same command again"):
        cutter.segment(twin.episode(2))


def test_nobody_listening_is_said_so(tmp_path):
    cutter = twin.segmenter("http://127.0.0.1:9/v1", tmp_path, retries=0)
    with pytest.raises(ValueError, match=r"no connection.*127\.0\.0\.1:9/v1"):
        cutter.segment(twin.episode(0))


def test_an_episode_without_frames_fails_and_is_listed(server, tmp_path):
    blind = replace(twin.episode(0), frames={})
    pending = twin.segmenter(server.url, tmp_path).begin(blind)
    with pytest.raises(ValueError, match="there are no frames"):
        pending.result()
    assert "no frames" in entries(tmp_path)["episode-000"].failure and not server.asked


def test_instructions_that_break_the_rules_are_rewritten_or_left_out(server, reply, tmp_path):
    cup = (*LIFT[:3], "lift the red cup", *LIFT[4:])
    nowhere = ("push", "EMPTY", [], "push the plate", *GRASP[4:])
    server.script = lambda task, turn: reply(said(MOVE, nowhere, cup))
    segments = twin.segmenter(server.url, tmp_path).segment(twin.episode(0))
    assert [str(s.primitive) for s in segments] == ["move", "lift"] and segments[1].directions == ("upward",)
    assert "red" not in segments[1].instruction and "object" in segments[1].instruction
    push, lift = entries(tmp_path)["episode-000"].violations
    assert push["kept"] is None and "direction" in push["rules"]
    assert lift["kept"] == segments[1].instruction and lift["rules"] == ["colour", "identity", "status"]
    asis = twin.segmenter(server.url, tmp_path, rewrite=False).segment(twin.episode(0))
    assert [s.instruction for s in asis] == [MOVE[3], "push the plate", "lift the red cup"]
    assert len(server.asked) == 1


def test_the_outlook_asks_nobody_and_knows_what_is_answered(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD)
    cutter = twin.segmenter(server.url, tmp_path, price=Price(1.0, 2.0))
    _, bill, _ = cutter.outlook((twin.episode(n) for n in range(4)), 1000)
    assert not server.asked and "+ 354 per episode" in bill and "USD" in bill
    twin.run_all(cutter, range(2))
    about, bill, _ = cutter.outlook((twin.episode(n) for n in range(4)), 1000)
    assert "about 500 have no answer yet" in about and "+ 100 per episode" in bill and len(server.asked) == 2


def test_a_segmenter_travels_to_other_processes_after_use(server, reply, tmp_path):
    server.script = lambda task, turn: reply(GOOD)
    cutter = twin.segmenter(server.url, tmp_path)
    segments = cutter.segment(twin.episode(0))
    assert pickle.loads(pickle.dumps(cutter)).segment(twin.episode(0)) == segments and len(server.asked) == 1


def test_what_is_begun_and_not_wanted_any_more_is_not_asked(server, reply, tmp_path):
    held = threading.Event()
    server.script = lambda task, turn: reply(held=held)
    cutter = twin.segmenter(server.url, tmp_path, concurrency=1, retries=0)
    begun = [cutter.begin(twin.episode(n)) for n in range(3)]
    for pending in begun[1:]:
        assert pending.cancel()
    held.set()
    with pytest.raises(ValueError, match="no connection"):
        begun[0].result()
    assert Counter(map(_number, server.asked)) == {0: 1}


def test_numbers_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        twin.segmenter("http://127.0.0.1:9/v1", tmp_path, attempts=0)
    assert VLMSegmenter(twin.segmenter("x", tmp_path).endpoint, "x").needs_frames
