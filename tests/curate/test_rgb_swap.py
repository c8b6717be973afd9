"""Red and blue exchanged: fires on swapped sources, keeps still on real ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import curate, data, images

SHARED = Path(__file__).resolve().parents[3] / "shared"


def looked_at(encoded):
    found = [images.measure(photo) for photo in encoded]
    usual, mirror = np.array([(one.usual_hues, one.mirror_hues) for one in found]).T
    return usual, mirror


def exchanged(photo):
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


@pytest.mark.parametrize("name", ["cars/stanford", "cars/renamed40", "cars/makes9", "cars/new7"])
def test_real_photos_are_fine_and_their_swapped_copies_are_suspected(name):
    root = SHARED / name
    if not root.is_dir():
        pytest.skip(f"../shared/{name} is not on this machine")
    paths = sorted(root.rglob("*.jpg"))
    photos = [path.read_bytes() for path in paths[:: max(1, len(paths) // 600)]]
    usual, mirror = looked_at(photos)
    usual_x, mirror_x = looked_at([exchanged(photo) for photo in photos])
    origins = ["as it is"] * len(photos) + ["exchanged"] * len(photos)
    signs = curate.find_rgb_swaps(
        origins, np.concatenate([usual, usual_x]), np.concatenate([mirror, mirror_x])
    )
    assert [(sign.origin, sign.verdict) for sign in signs] == [
        ("as it is", "fine"),
        ("exchanged", "swapped"),
    ]
    assert signs[0].high < 0.2 < 0.8 < signs[1].low


def test_photos_of_no_car_set_are_fine():
    root = SHARED / "photos" / "medium"
    if not root.is_dir():
        pytest.skip("../shared/photos/medium is not on this machine")
    photos = [path.read_bytes() for path in sorted(root.rglob("*.jpg"))[:300]]
    (sign,) = curate.find_rgb_swaps(["medium"] * len(photos), *looked_at(photos))
    assert sign.verdict == "fine"


def test_the_demo_is_fine_and_would_not_be_swapped(drawn_demo):
    _, root = drawn_demo(0)
    values = data.photo_stats(root).values
    usual, mirror = values["usual_hues"], values["mirror_hues"]
    names = ["demo"] * len(usual)
    assert curate.find_rgb_swaps(names, usual, mirror)[0].verdict == "fine"
    assert curate.find_rgb_swaps(names, mirror, usual)[0].verdict == "swapped"


def test_a_third_of_swapped_photos_is_partly_and_a_handful_too_few():
    usual, mirror = np.full(300, 0.05), np.zeros(300)
    usual[:100], mirror[:100] = 0, 0.05
    (sign,) = curate.find_rgb_swaps(["web"] * 300, usual, mirror)
    assert (sign.num_odd, sign.num_telling, sign.verdict) == (100, 300, "partly swapped")
    assert sign.is_suspected
    few = curate.find_rgb_swaps(["web"] * 9, mirror[:9], usual[:9])[0]
    assert (few.verdict, few.is_suspected) == ("too few to tell", False)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from([0.0, 0.002, 0.01, 0.3, float("nan")]),
            st.sampled_from([0.0, 0.001, 0.02, 0.3]),
        ),
        max_size=60,
    )
)
def test_counts_are_those_of_a_loop_and_other_sources_do_not_matter(rows):
    origins, usual, mirror = (list(part) for part in zip(*rows, strict=True)) if rows else [[]] * 3
    signs = curate.find_rgb_swaps(origins, np.array(usual, float), np.array(mirror, float))
    assert [sign.origin for sign in signs] == sorted(set(origins))
    for sign in signs:
        here = [(u, m) for o, u, m in rows if o == sign.origin and u == u]
        telling = [(u, m) for u, m in here if u + m >= 0.005]
        assert sign.num_photos == len(here)
        assert sign.num_telling == len(telling)
        assert sign.num_odd == sum(m > u for u, m in telling)
        alone = (
            curate.find_rgb_swaps(
                [sign.origin] * len(here),
                *(np.array(part, float) for part in zip(*here, strict=True)),
            )
            if here
            else ()
        )
        assert not alone or alone[0].verdict == sign.verdict
