import numpy as np
from tables_of import evidence_of, plain_classes, predictions_of

from carscale.analysis import analyse
from carscale.analysis.clusters import find_clusters


def evidence(num=120, *, planted=True, seed=0):
    """All wrong; the first third sits apart in embedding space and, when planted, is dark."""
    rng = np.random.default_rng(seed)
    is_apart_N = np.arange(num) < num // 3
    points_ND = rng.normal(0, 0.2, size=(num, 16)) + 1
    points_ND[is_apart_N] += 3 * np.eye(16)[0]
    bright_N = rng.normal(120, 20, num) - 60 * (is_apart_N & planted)
    return evidence_of(
        predictions_of(np.zeros(num, int), np.ones(num, int)), plain_classes(2),
        embeddings_ND=points_ND, seed=seed,
        attributes={
            "brightness": bright_N,
            "width": rng.normal(300, 40, num),
            "source": np.where(rng.random(num) < 0.5, "web", "own").astype(object),
        },
        flags={"dark": bright_N < 80},
    )  # fmt: skip


def test_a_dark_cluster_is_found_with_what_sets_it_apart():
    one, other = analyse(evidence()).clusters
    apart = one if 0 in one.rows_G else other
    assert set(apart.rows_G.tolist()) == set(range(40))
    told = {trait.attribute: trait for trait in apart.traits}
    assert set(told) == {"brightness", "quality"}
    assert told["brightness"].inside < 80 < told["brightness"].outside
    assert told["brightness"].words.startswith("lower brightness: median ")
    assert apart.classes == ((0, 40),)


def test_clusters_that_nothing_sets_apart_have_no_traits():
    num_traits = 0
    for seed in range(10):
        found = find_clusters(evidence(planted=False, seed=seed), np.arange(120))
        num_traits += sum(len(one.traits) for one in found)
    assert num_traits <= 2


def test_few_mistakes_are_not_clustered():
    assert find_clusters(evidence(30), np.arange(30)) == ()


def test_embeddings_that_are_all_alike_or_few_make_no_fuss():
    from dataclasses import replace

    alike = evidence()
    assert find_clusters(replace(alike, embeddings_ND=np.ones((120, 16))), np.arange(120)) == ()
    points_ND = np.ones((120, 16))
    points_ND[:40] = np.eye(16)[0]
    one, other = find_clusters(replace(alike, embeddings_ND=points_ND), np.arange(120))
    assert {len(one.rows_G), len(other.rows_G)} == {40, 80}
