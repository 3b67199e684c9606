"""The page in real browsers: two annotators at once, by keyboard alone, with the server killed under them."""

from __future__ import annotations

import re
import sqlite3

import pytest

from la4vla.construction.agreement import Agreement
from la4vla.construction.rating import Rating, read_ratings
from la4vla.construction.verification.store import RatingStore
from la4vla.verify import main

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
NAMES = ("anna", "ben")


@pytest.fixture
def windows(tmp_path):
    """A browser window for each annotator, with a profile of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        contexts = [
            play.chromium.launch_persistent_context(
                tmp_path / f"profile {name}", executable_path="/usr/bin/chromium", headless=True, args=FLAGS,
                viewport={"width": 1280, "height": 800}, timeout=120_000,
            )
            for name in NAMES
        ]  # fmt: skip
        for context in contexts:
            context.set_default_timeout(120_000)
        yield {name: context.new_page() for name, context in zip(NAMES, contexts, strict=True)}
        for context in contexts:
            context.close()


def scores(name: str, n: int) -> tuple[int, int]:
    """What ``name`` thinks of the clip number ``n``; the two differ now and then."""
    return (n + (name == "ben" and n % 5 == 0)) % 4, (n + len(name)) % 3


def rate(page, name: str, segment: str, n: int) -> None:
    page.locator(f'#stage[data-segment="{segment}"]').wait_for()
    quality, confidence = scores(name, n)
    page.keyboard.press(str(quality))
    page.keyboard.press("asd"[confidence])
    if n % 7 == 3:
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("n")
        page.keyboard.type(f"clip {n} of {name}")
        page.keyboard.press("Enter")
    page.keyboard.press("Enter")


@pytest.mark.browser
def test_two_annotators_rate_twenty_clips_each_while_the_server_is_killed(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]", "double_share=0.4")
    queues = {
        name: server.ask("/api/session", {"name": name, "token": server.tokens[name]})[1]["queue"][:20]
        for name in NAMES
    }
    for name, page in windows.items():
        page.goto(f"{server.address}/#{name}:{server.tokens[name]}")
    for n in range(10):
        for name, page in windows.items():
            rate(page, name, queues[name][n], n)
    for name, page in windows.items():
        page.locator(f'#stage[data-segment="{queues[name][10]}"]').wait_for()
    server.kill()
    for name, page in windows.items():  # the clip is there already; its rating waits in the page
        rate(page, name, queues[name][10], 10)
        # one, or two where the answer to the last one was cut off, which is then sent again
        page.get_by_text(re.compile("server away, [12] kept here")).wait_for()
    server.start()
    for n in range(11, 20):
        for name, page in windows.items():
            rate(page, name, queues[name][n], n)
            if n == 15:
                page.locator("#saved").get_by_text("saved", exact=True).wait_for()
                page.reload()
    for page in windows.values():
        page.locator("#saved").get_by_text("saved", exact=True).wait_for()
        page.locator("#yours").get_by_text("20 of 21", exact=True).wait_for()
    ratings = RatingStore(card.with_suffix(".ratings.sqlite")).ratings()
    assert len(ratings) == 40
    found = {(r.annotator, r.segment): (r.quality, r.confidence, bool(r.shift_stop), r.note) for r in ratings}
    assert found == {
        (name, segment): (*scores(name, n), n % 7 == 3, f"clip {n} of {name}" if n % 7 == 3 else "")
        for name in NAMES
        for n, segment in enumerate(queues[name])
    }
    shown = windows["anna"].locator("#all div", has_text="α")
    shown.get_by_text(f"{Agreement.of(ratings).alpha:.2f}", exact=True).wait_for()


@pytest.mark.browser
def test_what_waits_is_nobody_elses_rating(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    page, anna = windows["anna"], server.tokens["anna"]
    page.goto(f"{server.address}/#anna:{anna}")
    page.locator("#stage[data-segment]").wait_for()
    segment = page.locator("#stage").get_attribute("data-segment")
    server.kill()
    rate(page, "anna", segment, 1)
    page.get_by_text("server away, 1 kept here").wait_for()
    server.words = ("annotators=[ben,cleo]",)
    server.start()
    page.get_by_role("alert").get_by_text("That token is nobody's here").wait_for()
    page.goto(f"{server.address}/#ben:{server.tokens['ben']}")
    page.locator("#who").get_by_text("ben", exact=True).wait_for()
    page.locator("#stage[data-segment]").wait_for()
    rate(page, "ben", page.locator("#stage").get_attribute("data-segment"), 2)
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    store = RatingStore(card.with_suffix(".ratings.sqlite"))
    assert [rating.annotator for rating in store.ratings()] == ["ben"]
    server.kill()
    server.words = ("annotators=[anna,ben]",)
    server.start()
    page.goto(f"{server.address}/#anna:{anna}")
    page.locator("#who").get_by_text("anna", exact=True).wait_for()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    assert {(r.annotator, r.segment) for r in store.ratings()} >= {("anna", segment)}


@pytest.mark.browser
def test_two_pages_of_one_annotator_keep_each_others_ratings(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    first = windows["anna"]
    second = first.context.new_page()
    for page in (first, second):
        page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
        page.locator("#stage[data-segment]").wait_for()
    segment = first.locator("#stage").get_attribute("data-segment")
    server.kill()
    for page, n in ((first, 1), (second, 2)):
        rate(page, "anna", segment, n)
        page.get_by_text("server away, 1 kept here").wait_for()
    first.close()
    server.start()
    second.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    second.locator("#saved").get_by_text("saved", exact=True).wait_for()
    with sqlite3.connect(card.with_suffix(".ratings.sqlite")) as store:
        # the first page's rating arrived too, though a later one of the same segment counts
        assert store.execute("select count(*) from ratings").fetchone() == (2,)


@pytest.mark.browser
def test_a_rating_given_elsewhere_meanwhile_is_told_and_either_may_count(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    first = windows["anna"]
    second = windows["ben"]  # anna on another device
    for page in (first, second):
        page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
        page.locator("#stage[data-segment]").wait_for()
    segments = []
    for quality in (3, 2):
        segments.append(first.locator("#stage").get_attribute("data-segment"))
        for page in (first, second):
            page.locator(f'#stage[data-segment="{segments[-1]}"]').wait_for()
            page.keyboard.press(str(quality if page is first else 0))
            page.keyboard.press("a")
            page.keyboard.press("Enter")
            page.locator("#saved").get_by_text("saved", exact=True).wait_for()
            assert first.locator("#clash").is_hidden()
    second.get_by_text(f"Another rating of segment {segments[0]} was given elsewhere").wait_for()
    said = second.locator("#clash-words").text_content()
    assert "3 High, confidence low" in said and "Yours here is the later and counts; both are kept. (1 more)" in said
    second.keyboard.press("k")
    second.get_by_text(f"Another rating of segment {segments[1]} was given elsewhere").wait_for()
    second.keyboard.press("x")
    second.locator("#clash").wait_for(state="hidden")
    second.locator("#saved").get_by_text("saved", exact=True).wait_for()
    with RatingStore(card.with_suffix(".ratings.sqlite")) as store:
        assert {r.segment: r.quality for r in store.ratings()} == {segments[0]: 0, segments[1]: 2}
        assert store.version() == (4, 1)  # nothing is lost


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });"""


@pytest.mark.browser
def test_forbidden_storage_is_told_and_ratings_are_sent_all_the_same(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    page = windows["anna"]
    page.add_init_script(FORBIDDEN)
    page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    page.locator("#stage[data-segment]").wait_for()
    page.get_by_text("This browser forbids storage").wait_for()
    page.get_by_text("no browser storage").wait_for()
    segments = [page.locator("#stage").get_attribute("data-segment")]
    rate(page, "anna", segments[0], 1)
    page.locator("#yours").get_by_text(re.compile("^1 of")).wait_for()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    segments.append(page.locator("#stage[data-segment]").get_attribute("data-segment"))
    server.kill()
    page.keyboard.press("t")
    rate(page, "anna", segments[1], 2)
    page.get_by_text("1 in this page only: browser storage is forbidden, do not close it").wait_for()
    server.start()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    with RatingStore(card.with_suffix(".ratings.sqlite")) as store:
        assert [r.segment for r in store.ratings()] == segments


@pytest.mark.browser
def test_nothing_of_the_last_clip_stays_drawn_when_all_are_rated(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]", "double_share=0")
    queue = server.ask("/api/session", {"name": "anna", "token": server.tokens["anna"]})[1]["queue"]
    for n, segment in enumerate(queue[1:]):
        rating = {"segment": segment, "quality": 1, "confidence": 1}
        server.ask("/api/ratings", {"request": f"r{n}", "rating": rating}, server.tokens["anna"])
    page = windows["anna"]
    page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    page.locator("#stage[data-segment]").wait_for()
    page.wait_for_function("document.getElementById('above').width > 50")
    height = page.locator("#above").bounding_box()["height"]
    rate(page, "anna", queue[0], 1)
    page.get_by_text(f"All {len(queue)} segments of your share are rated").wait_for()
    page.wait_for_timeout(300)  # several redrawings
    for drawing in ("timeline", "above", "beside"):
        assert page.evaluate(f"[{drawing}.width, {drawing}.height]") == [0, 0]
    assert page.locator("#above").bounding_box()["height"] >= height


@pytest.mark.browser
def test_ratings_given_faster_than_a_clip_can_be_seen_are_counted(serve, card, windows, capsys):
    server = serve(card, "annotators=[anna,ben]")
    page = windows["anna"]
    page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    page.locator("#stage[data-segment]").wait_for()
    for n in range(2):
        segment = page.locator("#stage").get_attribute("data-segment")
        page.wait_for_timeout(8000 * n)  # a pass takes 2.5 s, and longer where few pictures are drawn
        rate(page, "anna", segment, n)
        page.locator(f'#stage[data-segment]:not([data-segment="{segment}"])').wait_for()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    server.kill()
    main([str(card), "annotators=[anna,ben]", f"export_to={card.with_suffix('.jsonl')}"])
    assert "anna: 2 ratings, 1 of them given in less time than the clip takes" in capsys.readouterr().out
    hasty, patient = sorted(read_ratings(card.with_suffix(".jsonl")), key=lambda rating: rating.watched_ms or 0)
    assert hasty.passes < 1 <= patient.passes and patient.watched_ms > 2000


LONG = "move the closed gripper far to the left and slightly up above the rim of the round container " * 4


@pytest.mark.browser
def test_scores_note_and_gripper_are_in_sight_on_a_low_screen_with_a_long_instruction(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    page = windows["anna"]
    page.set_viewport_size({"width": 1024, "height": 600})
    page.add_init_script(FORBIDDEN)  # whose words need room as well

    def lengthened(route):
        clip = route.fetch().json()
        opening = [0.5] * (clip["last"] - clip["first"])
        route.fulfill(json={**clip, "instruction": LONG, "opening": opening})

    page.route(re.compile(r"/api/clips/[^/]+$"), lengthened)
    page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    page.locator("#stage[data-segment]").wait_for()
    page.locator("#motion").get_by_text("Gripper: 50 % → 50 % open").wait_for()
    scores = ("#quality button", "#confidence button", "#note", "#motion span")
    places = (*scores, "#timeline", "#above", "#storage", "#help", "#legend")
    for place in places:
        for element in page.locator(place).all():
            assert element.evaluate(IN_SIGHT), place


# Inside the window and inside everything around it that scrolls or cuts off.
IN_SIGHT = """(element) => {
  const box = element.getBoundingClientRect();
  let [left, top, right, bottom] = [0, 0, innerWidth, innerHeight];
  for (let outer = element.parentElement; outer !== document.documentElement; outer = outer.parentElement) {
    if (getComputedStyle(outer).overflow === "visible") continue;
    const edge = outer.getBoundingClientRect();
    [left, top] = [Math.max(left, edge.left), Math.max(top, edge.top)];
    [right, bottom] = [Math.min(right, edge.right), Math.min(bottom, edge.bottom)];
  }
  const begins = box.left >= left - 1 && box.top >= top - 1;
  return box.height > 0 && begins && box.right <= right + 1 && box.bottom <= bottom + 1;
}"""


@pytest.mark.browser
def test_a_rating_the_server_refuses_does_not_count(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]")
    page = windows["anna"]
    page.goto(f"{server.address}/#anna:{server.tokens['anna']}")
    page.locator("#stage[data-segment]").wait_for()
    page.locator("#yours").get_by_text(re.compile("^0 of")).wait_for()
    segment = page.locator("#stage").get_attribute("data-segment")
    answer = {"status": 400, "json": {"error": "The segment is another one now."}}
    page.route("**/api/ratings", lambda route: route.fulfill(**answer))
    rate(page, "anna", segment, 1)
    page.get_by_text("Not saved: The segment is another one now.").wait_for()
    page.locator("#yours").get_by_text(re.compile("^0 of")).wait_for()


@pytest.mark.browser
def test_undo_and_quick_mode_and_a_wrong_token(serve, card, windows):
    server = serve(card, "annotators=[anna,ben]", "double_share=0.4")
    page = windows["anna"]
    page.goto(f"{server.address}/#anna:wrong")
    page.get_by_text("That is not anna's token").wait_for()
    page.locator("#name").fill("anna")
    page.locator("#token").fill(server.tokens["anna"])
    page.keyboard.press("Enter")
    page.locator("#stage[data-segment]").wait_for()
    first = page.locator("#stage").get_attribute("data-segment")
    page.keyboard.press("Enter")
    page.get_by_text("Give a quality first").wait_for()
    page.keyboard.press("q")
    page.keyboard.press("3")
    page.keyboard.press("d")
    page.locator("#yours").get_by_text("1 of 21", exact=True).wait_for()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    page.keyboard.press("z")
    page.locator(f'#stage[data-segment="{first}"]').wait_for()
    page.locator("#yours").get_by_text("0 of 21", exact=True).wait_for()
    page.keyboard.press("0")  # confidence is still there: saved at once
    page.locator("#yours").get_by_text("1 of 21", exact=True).wait_for()
    page.locator("#saved").get_by_text("saved", exact=True).wait_for()
    kept = RatingStore(card.with_suffix(".ratings.sqlite")).ratings()
    assert [(type(r), r.segment, r.quality, r.confidence) for r in kept] == [(Rating, first, 0, 2)]
