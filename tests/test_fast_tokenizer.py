"""FastTokenizer against the public recipe: scipy's DCT, numpy's rounding and the `tokenizers` library."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct, idct

import vla_rt as vr
from vla_rt.tokenizers import FastTokenizer

tokenizers = pytest.importorskip("tokenizers")


def smooth_chunks(n, horizon, dim, seed=0):
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, horizon)[None, :, None]
    level, slope, rate = (rng.normal(size=(n, 1, dim)) for _ in range(3))
    noise = rng.normal(size=(n, horizon, dim)) * 0.02
    return np.clip(level / 2 + slope / 2 * t + np.sin(6 * rate * t) / 3 + noise, -1, 1)


def public_text(chunk, scale, min_token):
    quantized = np.around(dct(chunk[None], axis=1, norm="ortho") * scale)[0]
    return "".join(map(chr, np.maximum(quantized.flatten() - min_token, 0).astype(int)))


def public_decode(peer, ids, scale, min_token, horizon, dim):
    text = peer.decode(ids, skip_special_tokens=False)
    coefficients = np.array(list(map(ord, text))) + min_token
    return idct(coefficients.reshape(horizon, dim) / scale, axis=0, norm="ortho")


def universal(min_token=-354, vocab_size=2048, horizon=32, dim=7):
    """A tokenizer like the public universal one: every coefficient is a letter of two bytes."""
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=10000,
    )
    peer = tokenizers.Tokenizer(tokenizers.models.BPE())
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = tokenizers.decoders.ByteLevel()
    texts = (public_text(chunk, 10, min_token) for chunk in smooth_chunks(300, horizon, dim, 7) * 3)
    peer.train_from_iterator(texts, trainer=trainer)
    return peer


@pytest.fixture(scope="module")
def fitted():
    tokenizer = FastTokenizer.fit(smooth_chunks(600, 16, 7))
    return tokenizer, tokenizers.Tokenizer.from_str(tokenizer.tokenizer_json())


@pytest.fixture(scope="module")
def wide():
    peer = universal()
    return FastTokenizer(peer.to_str(), scale=10, min_token=-354), peer


def test_ids_equal_the_public_recipe(fitted, wide):
    cases = [
        (fitted, 16, 7, 1.0),
        (wide, 32, 7, 3.0),
        (wide, 10, 14, 1.0),
        (wide, 1, 1, 1.0),
        (wide, 50, 3, 1.0),
    ]
    for (tokenizer, peer), horizon, dim, amplitude in cases:
        for chunk in smooth_chunks(60, horizon, dim, seed=5) * amplitude:
            ids = tokenizer.encode(chunk)
            assert isinstance(ids, list)
            assert ids == peer.encode(public_text(chunk, 10, tokenizer.min_token)).ids
            np.testing.assert_allclose(
                tokenizer.decode(ids, horizon, dim),
                public_decode(peer, ids, 10, tokenizer.min_token, horizon, dim),
                atol=1e-13,
            )


@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 8, 10, 16, 20, 32, 50, 64])
@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0)])
def test_two_valued_columns_round_as_scipy_does(horizon, values):
    """A gripper's column falls exactly between two integers for some horizons: 2.5 for a 1 among 15 zeros."""
    rng = np.random.default_rng(0)
    column = rng.choice(values, size=(horizon, 2000))
    expected = np.around(dct(column, axis=0, norm="ortho") * 10).astype(int).ravel()
    np.testing.assert_array_equal(FastTokenizer.quantize(column), expected)


@pytest.mark.parametrize("horizon", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("grid", [20, 100])
def test_decimal_grids_round_as_scipy_does(horizon, grid):
    column = np.round(np.random.default_rng(0).uniform(-1, 1, (horizon, 2000)) * grid) / grid
    expected = np.around(dct(column, axis=0, norm="ortho") * 10).astype(int).ravel()
    np.testing.assert_array_equal(FastTokenizer.quantize(column), expected)


@given(
    st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 7.5, 10.0, 50.0])
)
def test_quantize_equals_scipy(horizon, dim, seed, scale):
    chunk = np.random.default_rng(seed).uniform(-1, 1, (horizon, dim))
    exact = dct(chunk, axis=0, norm="ortho") * scale
    quantized = FastTokenizer.quantize(chunk, scale).reshape(horizon, dim)
    clear = np.abs(np.abs(exact - np.floor(exact)) - 0.5) > 1e-9
    np.testing.assert_array_equal(quantized[clear], np.around(exact)[clear])


def test_decode_gives_the_quantised_coefficients(fitted):
    tokenizer, _ = fitted
    for chunk in smooth_chunks(30, 16, 7, seed=9):
        ids = tokenizer.encode(chunk)
        quantized = FastTokenizer.quantize(chunk).reshape(16, 7)
        np.testing.assert_array_equal(tokenizer.coefficients(ids, 16, 7), quantized)
        decoded = tokenizer.decode(ids, 16, 7)
        np.testing.assert_allclose(dct(decoded, axis=0, norm="ortho") * 10, quantized, atol=1e-12)
        # Orthonormal: the error is that of the rounding, half a step a coefficient.
        assert np.linalg.norm(decoded - chunk) <= 0.05 * np.sqrt(16 * 7) + 1e-12
        assert tokenizer.encode(decoded) == ids


texts = st.text(
    st.one_of(
        st.sampled_from("'strevmdll  \t\n\x0b\x85\xa0\u2003a1!"),
        st.integers(0, 720).map(chr),
        st.integers(0, 0xD7FF).map(chr),
    ),
    max_size=40,
)


PRE = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)


def public_pieces(text):
    return [text[start:end] for _, (start, end) in PRE.pre_tokenize_str(text)]


@given(texts)
def test_pieces_equal_tokenizers(wide, text):
    tokenizer, peer = wide
    assert tokenizer.pieces(text) == public_pieces(text)
    assert tokenizer.encode_text(text) == peer.encode(text).ids


def test_every_code_point_has_its_class(wide):
    tokenizer, _ = wide
    for code_point in range(0xD800):
        text = "a{0}a1{0}1!{0}! {0}".format(chr(code_point))
        assert tokenizer.pieces(text) == public_pieces(text), hex(code_point)


def test_pieces_may_be_left_whole():
    text = json.loads(universal().to_str())
    text["pre_tokenizer"]["use_regex"] = False
    tokenizer, peer = FastTokenizer(json.dumps(text)), tokenizers.Tokenizer.from_str(json.dumps(text))
    for words in ("a b  c1", "", "'s !x", public_text(smooth_chunks(1, 16, 7)[0], 10, -354)):
        assert tokenizer.encode_text(words) == peer.encode(words).ids
    assert tokenizer.pieces("a b") == ["a b"]


def test_characters_out_of_reach_are_refused(wide):
    tokenizer, _ = wide
    with pytest.raises(vr.ConfigError, match=r"text\[1\] = 128512"):
        tokenizer.encode_text("a\U0001f600")


def test_fit_equals_the_public_recipe():
    chunks = smooth_chunks(200, 12, 5)
    tokenizer = FastTokenizer.fit(chunks, vocab_size=400, scale=8.0)
    quantized = [np.around(dct(c, axis=0, norm="ortho") * 8).astype(int).ravel() for c in chunks]
    low, high = min(q.min() for q in quantized), max(q.max() for q in quantized)
    assert (tokenizer.min_token, tokenizer.vocab_size, tokenizer.scale) == (low, 400, 8.0)
    assert (tokenizer.horizon, tokenizer.action_dim) == (12, 5)
    bpe = tokenizers.ByteLevelBPETokenizer()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        min_frequency=2,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=[chr(i) for i in range(high - low + 1)],
        max_token_length=10000,
    )
    bpe._tokenizer.train_from_iterator(("".join(map(chr, q - low)) for q in quantized), trainer=trainer)
    ours, theirs = (
        json.loads(tokenizer.tokenizer_json())["model"],
        json.loads(bpe._tokenizer.to_str())["model"],
    )
    assert ours["vocab"] == theirs["vocab"]
    assert ours["merges"] == theirs["merges"]
    ragged = FastTokenizer.fit([chunks[0], chunks[1][:7]])
    assert (ragged.horizon, ragged.action_dim) == (None, 5)


def test_batches_are_nested_lists(fitted):
    tokenizer, _ = fitted
    chunks = smooth_chunks(6, 16, 7, seed=3).reshape(2, 3, 16, 7)
    ids = tokenizer.encode(chunks)
    assert [len(row) for row in ids] == [3, 3]
    assert ids[1][2] == tokenizer.encode(chunks[1, 2])
    decoded = tokenizer.decode(ids, 16, 7)
    assert decoded.shape == (2, 3, 16, 7)
    np.testing.assert_array_equal(decoded[1, 2], tokenizer.decode(ids[1][2], 16, 7))
    np.testing.assert_array_equal(tokenizer.decode(ids), decoded)
    np.testing.assert_array_equal(tokenizer.decode(np.array(ids[1][2])), decoded[1, 2])
    np.testing.assert_array_equal(tokenizer.decode(tuple(ids[1][2])), decoded[1, 2])
    assert tokenizer.encode(np.zeros((0, 16, 7))) == []
    assert tokenizer.decode([[1] * 0], 1, 1, strict=False).shape == (1, 1, 1)


def test_layout_and_dtype_do_not_matter(fitted):
    tokenizer, _ = fitted
    chunks = smooth_chunks(4, 16, 7, seed=4).astype(np.float32)
    ids = tokenizer.encode(chunks.astype(np.float64))
    assert tokenizer.encode(chunks) == ids
    assert tokenizer.encode(np.asfortranarray(chunks)) == ids
    assert tokenizer.encode(chunks[::-1])[::-1] == ids
    assert tokenizer.encode(chunks.tolist()) == ids


def test_saved_and_loaded(fitted, tmp_path):
    tokenizer, peer = fitted
    tokenizer.save(tmp_path / "deep" / "fast")
    loaded = FastTokenizer.load(str(tmp_path / "deep" / "fast"))
    config = json.loads((tmp_path / "deep/fast/processor_config.json").read_text())
    wanted = {
        "scale": 10.0,
        "vocab_size": 1024,
        "min_token": tokenizer.min_token,
        "action_dim": 7,
        "time_horizon": 16,
    }
    assert {name: config[name] for name in wanted} == wanted
    from_file = tokenizers.Tokenizer.from_file(str(tmp_path / "deep/fast/tokenizer.json"))
    assert from_file.get_vocab() == peer.get_vocab()
    for chunk in smooth_chunks(10, 16, 7, seed=2):
        ids = loaded.encode(chunk)
        assert ids == tokenizer.encode(chunk)
        assert ids == from_file.encode(public_text(chunk, 10, loaded.min_token)).ids
    # The public files: nulls, an integer scale, further fields, merges as texts.
    public = {"scale": 10, "vocab_size": 2048, "min_token": -354, "action_dim": None, "time_horizon": None}
    (tmp_path / "deep/fast/processor_config.json").write_text(json.dumps({**public, "auto_map": {"a": "b"}}))
    text = json.loads(universal().to_str())
    text["model"]["merges"] = [" ".join(pair) for pair in text["model"]["merges"]]
    (tmp_path / "deep/fast/tokenizer.json").write_text(json.dumps(text))
    loaded = FastTokenizer.load(tmp_path / "deep" / "fast")
    assert (loaded.horizon, loaded.action_dim, loaded.min_token) == (None, None, -354)
    chunk = smooth_chunks(1, 16, 7)[0]
    assert loaded.encode(chunk) == universal().encode(public_text(chunk, 10, -354)).ids
    with pytest.raises(vr.ConfigError, match="horizon = None"):
        loaded.decode(loaded.encode(chunk))


def test_truncated_streams(fitted, wide):
    for tokenizer, _ in (fitted, wide):
        chunk = smooth_chunks(1, 16, 7, seed=11)[0]
        ids = tokenizer.encode(chunk)
        whole = tokenizer.coefficients(ids, 16, 7).ravel()
        for cut in range(len(ids)):
            with pytest.raises(vr.ConfigError) as error:
                tokenizer.decode(ids[:cut], 16, 7)
            assert error.value.name == "tokens"
            repaired = tokenizer.coefficients(ids[:cut], 16, 7, strict=False).ravel()
            kept = np.argmax(repaired != whole) if np.any(repaired != whole) else whole.size
            assert np.all(repaired[kept:] == 0)
        with pytest.raises(vr.ConfigError, match="must spell horizon"):
            tokenizer.decode(ids + ids[:1], 16, 7)
        np.testing.assert_array_equal(
            tokenizer.coefficients(ids + ids[:1], 16, 7, strict=False).ravel(), whole
        )
        with pytest.raises(vr.ConfigError, match="must spell horizon"):
            tokenizer.decode(ids, 16, 6)
    half = tokenizer.encode_text("\u0162")
    broken = [tokenizer.encode_text("\u00e9")[0]] if len(half) > 1 else half
    if len(half) > 1:
        with pytest.raises(vr.ConfigError, match="no character"):
            tokenizer.decode(broken[:1], 1, 1)


def test_bad_ids_are_named(fitted):
    tokenizer, _ = fitted
    for bad in (-1, 10**6, 2**63, 2**80):
        for strict in (True, False):
            with pytest.raises(vr.ConfigError) as error:
                tokenizer.decode([1, 2, bad], 16, 7, strict=strict)
            assert error.value.name == "tokens[2]"
    for bad in ([1.5], ["a"], [None], [[1], 2], [[1], [[2]]], [1, [2]], [[1, 2], [[1]]], "12", 5, None, {}):
        with pytest.raises(vr.ConfigError):
            tokenizer.decode(bad, 16, 7)
    for horizon, dim, name in [
        (0, 7, "horizon"),
        (-3, 7, "horizon"),
        (10**6, 7, "horizon"),
        (16, 0, "action_dim"),
    ]:
        with pytest.raises(vr.ConfigError) as error:
            tokenizer.decode([1], horizon, dim)
        assert error.value.name == name


def test_bad_actions_are_named(fitted):
    tokenizer, _ = fitted
    for bad in (np.nan, np.inf):
        chunk = np.zeros((2, 16, 7))
        chunk[1, 3, 2] = bad
        with pytest.raises(vr.ConfigError) as error:
            tokenizer.encode(chunk)
        assert error.value.name == "actions[1, 3, 2]"
    for shape in [(7,), (), (0, 7), (16, 0), (2000, 1)]:
        with pytest.raises(vr.ConfigError) as error:
            tokenizer.encode(np.zeros(shape))
        assert error.value.name == "actions"
    with pytest.raises(vr.ConfigError, match="action_dim = 7"):
        tokenizer.encode(np.zeros((2, 16, 6)))
    with pytest.raises(vr.ConfigError, match="normalise"):
        tokenizer.encode(np.full((16, 7), 1e5))
    with pytest.raises(vr.ConfigError, match="not in the vocabulary"):
        tokenizer.encode(np.full((16, 7), 300.0))


BAD_FIT = [
    ({"chunks": smooth_chunks(5, 16, 7), "vocab_size": 10}, "vocab_size"),
    ({"chunks": []}, "chunks"),
    ({"chunks": np.zeros((16, 7))}, "chunks"),
    ({"chunks": [np.zeros((16, 7)), np.zeros((16, 6))]}, "chunks[1]"),
    ({"chunks": [np.zeros((16, 7)), np.zeros(16)]}, "chunks[1]"),
    ({"chunks": [np.full((16, 7), np.nan)]}, "chunks[0], actions[0, 0]"),
    ({"chunks": 3}, "chunks"),
    ({"chunks": np.zeros((1, 16, 7)), "scale": 0.0}, "chunks[0], scale"),
    ({"chunks": np.zeros((1, 16, 7)), "scale": np.nan}, "chunks[0], scale"),
    ({"chunks": np.stack([np.full((4, 1), 0.0), np.full((4, 1), 1e4)]), "vocab_size": 10**6}, "chunks"),
]


@pytest.mark.parametrize(("kwargs", "name"), BAD_FIT)
def test_bad_fits_are_named(kwargs, name):
    with pytest.raises(vr.ConfigError) as error:
        FastTokenizer.fit(**kwargs)
    assert error.value.name == name


def broken(change):
    text = json.loads(universal().to_str())
    change(text)
    return json.dumps(text)


BROKEN = [
    (lambda t: t.update(added_tokens=[{"id": 0}]), "added_tokens"),
    (lambda t: t.update(normalizer={"type": "NFC"}), "normalizer"),
    (lambda t: t.pop("pre_tokenizer"), "pre_tokenizer"),
    (lambda t: t.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer"),
    (lambda t: t["pre_tokenizer"].update(add_prefix_space=True), "pre_tokenizer.add_prefix_space"),
    (lambda t: t["pre_tokenizer"].update(use_regex=1), "pre_tokenizer.use_regex"),
    (lambda t: t.pop("model"), "model"),
    (lambda t: t["model"].update(type="Unigram"), "model"),
    (lambda t: t["model"].update(dropout=0.1), "model.dropout"),
    (lambda t: t["model"].update(byte_fallback=True), "model.byte_fallback"),
    (lambda t: t["model"].update(vocab={}), "model.vocab"),
    (lambda t: t["model"]["vocab"].update(zz=-1), 'model.vocab["zz"]'),
    (lambda t: t["model"]["vocab"].update(zz=2**20), 'model.vocab["zz"]'),
    (lambda t: t["model"]["vocab"].update(zz="1"), 'model.vocab["zz"]'),
    (lambda t: t["model"].update(merges={}), "model.merges"),
    (lambda t: t["model"]["merges"].__setitem__(1, "ab"), "model.merges[1]"),
    (lambda t: t["model"]["merges"].__setitem__(1, ["a"]), "model.merges[1]"),
    (lambda t: t["model"]["merges"].__setitem__(1, ["no", "such"]), "model.merges[1]"),
]


@pytest.mark.parametrize(("change", "name"), BROKEN)
def test_broken_tokenizer_files_are_named(change, name):
    with pytest.raises(vr.FormatError) as error:
        FastTokenizer(broken(change))
    assert error.value.name == name


def test_duplicate_ids_are_refused():
    def change(text):
        text["model"]["vocab"]["zz"] = text["model"]["vocab"]["a"]

    with pytest.raises(vr.FormatError, match="another token's id"):
        FastTokenizer(broken(change))


def test_broken_folders_are_named(fitted, tmp_path):
    tokenizer, _ = fitted
    for file in ("processor_config.json", "tokenizer.json"):
        tokenizer.save(tmp_path)
        text = (tmp_path / file).read_text()
        (tmp_path / file).write_text(text[: len(text) // 2])
        with pytest.raises(vr.FormatError, match="not JSON"):
            FastTokenizer.load(tmp_path)
        for deep in ("[" * 200_000, "[" * 200_000 + "]" * 200_000, '{"a":' * 200_000 + "0" + "}" * 200_000):
            (tmp_path / file).write_text(deep)
            with pytest.raises(vr.FormatError, match="nested deeper than 32"):
                FastTokenizer.load(tmp_path)
        (tmp_path / file).unlink()
        with pytest.raises(vr.FormatError, match="no such file"):
            FastTokenizer.load(tmp_path)
    wrong = {"scale": "x", "min_token": 1.5, "action_dim": 0, "time_horizon": -1, "vocab_size": True}
    for name, value in [*wrong.items(), ("scale", 0), ("min_token", 2**40)]:
        tokenizer.save(tmp_path)
        config = json.loads((tmp_path / "processor_config.json").read_text())
        (tmp_path / "processor_config.json").write_text(json.dumps({**config, name: value}))
        with pytest.raises(vr.FormatError) as error:
            FastTokenizer.load(tmp_path)
        assert error.value.name == f"processor_config.json: {name}"
    (tmp_path / "file").write_text("")
    with pytest.raises(vr.ConfigError, match="path"):
        tokenizer.save(tmp_path / "file" / "below")


def test_two_threads_may_share_one(fitted):
    tokenizer, _ = fitted
    chunks = {horizon: smooth_chunks(8, horizon, 7, seed=horizon) for horizon in (8, 16)}
    expected = {horizon: tokenizer.encode(c) for horizon, c in chunks.items()}
    wrong = []

    def work(horizon):
        for _ in range(50):
            if tokenizer.encode(chunks[horizon]) != expected[horizon]:
                wrong.append(horizon)

    threads = [threading.Thread(target=work, args=(horizon,)) for horizon in (8, 16, 8, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_fast_travels_to_other_processes(fitted):
    tokenizer = FastTokenizer(fitted[0].tokenizer_json(), 7.5, fitted[0].min_token, horizon=16, action_dim=7)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(tokenizer)))
    chunk = smooth_chunks(1, 16, 7, 3)[0]
    assert twin.encode(chunk) == tokenizer.encode(chunk)
    assert np.array_equal(twin.decode(twin.encode(chunk)), tokenizer.decode(tokenizer.encode(chunk)))
