"""The page's server, spoken to over HTTP and killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from la4vla.construction.rating import read_ratings
from la4vla.construction.verification.store import RatingStore
from la4vla.data.shards import Shards
from la4vla.data.transforms import decode_jpeg
from la4vla.verify import main


def give(server, name, segment, number, **more):
    rating = {"segment": segment, "quality": number % 4, "confidence": number % 3, **more}
    return server.ask("/api/ratings", {"request": f"{name} {segment}", "rating": rating}, server.tokens[name])


def sign_in(server, name):
    return server.ask("/api/session", {"name": name, "token": server.tokens[name]})[1]


def test_no_answered_rating_is_lost_when_the_server_is_killed(serve, card, tmp_path, capsys):
    server = serve(card, "annotators=[anna,ben]", "double_share=0.5")
    queues = {name: sign_in(server, name)["queue"] for name in ("anna", "ben")}
    assert sorted(map(len, queues.values())) == [22, 23]

    def work(name):
        answers = [give(server, name, s, n, note=f"note {n}") for n, s in enumerate(queues[name][:10])]
        return [status for status, _ in answers]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, queues)) == [[200] * 10] * 2
    tokens, progress = dict(server.tokens), server.ask("/api/progress", token=server.tokens["ben"])[1]
    server.kill()
    server.start()
    assert server.tokens == tokens
    for name in queues:
        facts = sign_in(server, name)
        assert facts["queue"] == queues[name] and set(facts["ratings"]) == set(queues[name][:10])
        assert all(facts["ratings"][s]["note"] == f"note {n}" for n, s in enumerate(queues[name][:10]))
    assert server.ask("/api/progress", token=tokens["ben"])[1] == progress
    assert progress["annotators"]["anna"] == {"rated": 10, "assigned": len(queues["anna"])}
    # what a page sends again because the answer did not reach it is kept once
    assert give(server, "anna", queues["anna"][0], 3)[0] == 200
    server.kill()
    main([str(card), "annotators=[anna,ben]", "double_share=0.5", f"export_to={tmp_path / 'r.jsonl'}"])
    assert "holds 20 ratings" in capsys.readouterr().out
    assert {(r.annotator, r.segment) for r in read_ratings(tmp_path / "r.jsonl")} == {
        (name, segment) for name, queue in queues.items() for segment in queue[:10]
    }


def test_a_rating_of_a_segment_that_is_another_one_now_is_refused(shared):
    segment = sign_in(shared, "anna")["queue"][0]
    clip = shared.ask(f"/api/clips/{segment}", token=shared.tokens["anna"])[1]
    seen = {"length": clip["stop"] - clip["start"], "instruction": clip["instruction"]}
    for other in ({"length": seen["length"] + 1}, {"instruction": "Fly away"}):
        status, answer = give(shared, "anna", segment, 1, **{**seen, **other})
        assert status == 400 and "is another one now than the one that was rated" in answer["error"]
    assert segment not in sign_in(shared, "anna")["ratings"]


def test_clips_are_what_the_set_holds(shared):
    shards = Shards(shared.card.with_suffix("") / "vla")
    token = shared.tokens["anna"]
    clip = shared.ask("/api/clips/segment003", token=token)[1]
    record = shards.record([info.key for info in shards.records].index("segment003"))
    assert clip["instruction"] == record.instruction and clip["stop"] - clip["start"] == len(record)
    assert clip["frame_steps"] == (record.frame_steps + record.start).tolist()
    content = shared.ask("/api/clips/segment003/corner2", token=token)[1]
    assert content == b"".join(record.images["corner2"]) and clip["sizes"]["corner2"] == [
        len(file) for file in record.images["corner2"]
    ]
    assert decode_jpeg(content[: clip["sizes"]["corner2"][0]]).shape == (16, 16, 3)


def test_the_page_comes_whole_from_the_server_itself(shared):
    page = shared.ask("/")[1].decode()
    for part in ("/page/look.css", "/page/page.js", "/page/guidelines.html", "/page/outbox.js"):
        page += shared.ask(part)[1].decode()
    assert "http://" not in page and "https://" not in page


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/api/session", {"name": "anna", "token": "x"}, 401, "not anna's token"),
        (
            "/api/session",
            {"name": "eve", "token": "x"},
            401,
            "Nobody called 'eve' rates here; the annotators are anna,",
        ),
        ("/api/session", {"name": "anna"}, 400, "body.token: Field required"),
        ("/api/session", b"{", 400, "JSON decode error"),
        ("/api/ratings", {"quality": 4}, 400, "quality must be a whole number from 0 to 3, got 4"),
        ("/api/ratings", {"confidence": 3}, 400, "confidence must be a whole number from 0 to 2, got 3"),
        ("/api/ratings", {"segment": "nowhere-0000"}, 404, "no segment 'nowhere-0000'"),
        ("/api/ratings", {"shift_start": 500}, 400, "Boundaries must lie in steps"),
        ("/api/ratings", {"shift_start": -500}, 400, "Boundaries must lie in steps"),
        ("/api/withdrawals", {"request": "none"}, 404, "anna gave no rating 'none'"),
        ("/api/clips/nowhere", None, 404, "no segment 'nowhere'"),
        ("/api/clips/segment003/wrist", None, 404, "no camera 'wrist'; there are corner2"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(shared, path, body, status, sentence):
    if path == "/api/ratings":
        good = {"segment": "segment003", "quality": 2, "confidence": 1}
        body = {"request": "r", "rating": {**good, **body}}
    answer = shared.ask(path, body, shared.tokens["anna"])
    assert answer[0] == status and sentence in answer[1]["error"]


def test_without_a_token_nothing_is_told(shared):
    for path in ("/api/progress", "/api/clips/segment003", "/api/clips/segment003/corner2"):
        for token in ("", "wrong"):
            status, answer = shared.ask(path, token=token)
            assert status == 401 and "nobody's here" in answer["error"]


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_however_it_is_ended_the_database_is_one_file_that_holds_all(serve, card, tmp_path, ended_by):
    server = serve(card, "annotators=[anna,ben]")
    segment = sign_in(server, "anna")["queue"][0]
    assert give(server, "anna", segment, 3)[0] == 200
    server.process.send_signal(ended_by)
    server.process.communicate(timeout=60)
    database = card.with_suffix(".ratings.sqlite")
    assert [path.name for path in card.parent.glob("*.sqlite*")] == [database.name]
    (tmp_path / "copy.sqlite").write_bytes(database.read_bytes())
    assert [r.segment for r in RatingStore(tmp_path / "copy.sqlite").ratings()] == [segment]


def told(*words: object) -> str:
    run = subprocess.run([sys.executable, "-m", "la4vla.verify", *map(str, words)], capture_output=True, text=True)
    assert run.returncode and "Traceback" not in run.stderr
    return run.stderr


def test_a_busy_port_is_told_in_a_sentence(card):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"error: Port {port} of 127.0.0.1 is taken; choose another with port=" in told(card, f"port={port}")


def test_ratings_go_in_and_out_or_not_at_all(card, tmp_path, capsys):
    lines = [
        '{"segment": "segment001", "annotator": "zoe", "quality": 3, "confidence": 2}',
        '{"segment": "segment002", "annotator": "zoe", "quality": 1, "confidence": 0, "shift_start": 1}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    main([str(card), f"import_from={tmp_path / 'in.jsonl'}", f"export_to={tmp_path / 'out.jsonl'}"])
    assert "2 of 2 ratings" in capsys.readouterr().out
    assert read_ratings(tmp_path / "out.jsonl") == read_ratings(tmp_path / "in.jsonl")
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines[:1], "{"]))
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 2 is not valid JSON"):
        main([str(card), f"import_from={tmp_path / 'bad.jsonl'}"])
    (tmp_path / "strange.jsonl").write_text(lines[0].replace("zoe", "kim") + "\n" + lines[0].replace("001", "999"))
    with pytest.raises(LookupError, match=r"zoe rated segment999, which is no segment of .* nothing was imported"):
        main([str(card), f"import_from={tmp_path / 'strange.jsonl'}"])
    main([str(card), f"export_to={tmp_path / 'out.jsonl'}"])
    assert len(read_ratings(tmp_path / "out.jsonl")) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.yaml"], "no card nowhere.yaml"),
        ([], "Name the card whose segments are to be verified"),
        (["CARD", "export=la"], "no export 'la' of unrated segments with frames to look at; its exports are la, vla"),
        (["CARD", "annotators=[anna,anna]"], "annotators must be one or more different names"),
        (["CARD", "double_share=2"], "double_share must lie in 0..1, got 2"),
        (["CARD", "port=70000"], "port must lie in 0..65535"),
        (["CARD", "least_quality=5"], "least_quality must lie in 0..3"),
        (["CARD", "import_from=nowhere.jsonl"], "no file of ratings nowhere.jsonl"),
    ],
)
def test_bad_words_are_refused_in_a_sentence(card, words, sentence):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        main([str(card) if word == "CARD" else word for word in words])
    assert sentence in str(caught.value)


def test_a_misspelt_setting_is_refused_with_the_closest(card, capsys):
    with pytest.raises(SystemExit):
        main([str(card), "anotators=[anna]"])
    assert "Did you mean 'annotators'" in capsys.readouterr().err
