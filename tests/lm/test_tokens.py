"""Which word each token belongs to, for every kind of tokenizer that models come with."""

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from brainlm.lm.reading import LanguageModel, read_story

COMPOSED = "she didn't say why the café-bar on Ångström's 21st street closed at 10:30"
DECOMPOSED = unicodedata.normalize("NFD", "naïve Zoë ŵyn's")
OTHERS = "don’t rock'n'roll twenty-one 1,234.5 —well— … a I 東京 привет мир שלום नमस्ते ﬁn ½ 👩\u200d🚀 ok"
WORDS = [word for text in (COMPOSED, DECOMPOSED, OTHERS) for word in text.split()]
SENTENCES = [
    " ".join(WORDS),
    "where did the naïve astronaut go on the 21st",
    "she didn't know, and he wasn't there",
]
SPACE = "▁"
AFTER_A_SPACE = [SPACE + word for word in WORDS]


def bpe(pre_tokenizer, *, normalizer=None, texts=SENTENCES, alphabet=(), **options) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**options))
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    special = [options["unk_token"]] if "unk_token" in options else []
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=list(alphabet), special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


def byte_level(add_prefix_space: bool, **options) -> Tokenizer:
    tokenizer = bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space),
        alphabet=pre_tokenizers.ByteLevel.alphabet(),
        **options,
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def llama3(trim_offsets: bool) -> Tokenizer:
    """Whole words that are in the vocabulary stay whole, whatever the merges say."""
    tokenizer = byte_level(False, ignore_merges=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return tokenizer


def llama2() -> Tokenizer:
    """A space is put before the text, and spaces become letters; there are no words before merging."""
    return bpe(
        None,
        texts=AFTER_A_SPACE,
        normalizer=normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]),
        unk_token="<unk>",
        fuse_unk=True,
    )


def llama2_bytes() -> Tokenizer:
    """Letters that are not in the vocabulary become one token for each byte."""
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)}
    for letter in ["<unk>", SPACE, *"abcdefghijklmnopqrstuvwxyz'"]:
        vocabulary[letter] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    return tokenizer


def unigram(pre_tokenizer, normalizer) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(
            vocab_size=160, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    return tokenizer


def wordpiece(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    )
    return tokenizer


def wordlevel(pre_tokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(
        SENTENCES, trainers.WordLevelTrainer(special_tokens=["<unk>"], show_progress=False)
    )
    return tokenizer


def shortened() -> Tokenizer:
    """Files of some models ask for texts of one length."""
    tokenizer = byte_level(False)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8, pad_token="!", pad_id=0)
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "GPT-2: bytes": lambda: byte_level(False),
    "bytes, after a space": lambda: byte_level(True),
    "Llama 3: whole words first": lambda: llama3(True),
    "Llama 3, spaces in the offsets": lambda: llama3(False),
    "Llama 2: a space before the text": llama2,
    "Llama 2: bytes for unknown letters": llama2_bytes,
    "Gemma: spaces as letters": lambda: bpe(
        pre_tokenizers.Split(" ", "merged_with_previous"),
        texts=AFTER_A_SPACE,
        normalizer=normalizers.Replace(" ", SPACE),
        unk_token="<unk>",
        fuse_unk=True,
    ),
    "Metaspace": lambda: bpe(pre_tokenizers.Metaspace(), unk_token="<unk>"),
    "Metaspace, in one piece": lambda: bpe(
        pre_tokenizers.Metaspace(split=False, prepend_scheme="first"), texts=WORDS, unk_token="<unk>"
    ),
    "T5: Unigram, NFKC": lambda: unigram(pre_tokenizers.Metaspace(), normalizers.NFKC()),
    "Unigram, decomposed": lambda: unigram(pre_tokenizers.Metaspace(), normalizers.NFD()),
    "BERT: WordPiece": lambda: wordpiece(lowercase=False),
    "BERT, lower case without accents": lambda: wordpiece(lowercase=True),
    "words": lambda: wordlevel(pre_tokenizers.WhitespaceSplit()),
    "words and punctuation": lambda: wordlevel(pre_tokenizers.Whitespace()),
    "a text of one length": shortened,
}


# What a kind does to a word before it looks it up.
WITHOUT_FORMAT = {ord(letter): None for letter in "\u200d"}
NORMAL: dict[str, Callable[[str], str]] = {
    "T5: Unigram, NFKC": lambda word: unicodedata.normalize("NFKC", word),
    "Unigram, decomposed": lambda word: unicodedata.normalize("NFD", word),
    "BERT: WordPiece": lambda word: word.translate(WITHOUT_FORMAT),
    "BERT, lower case without accents": lambda word: "".join(
        letter
        for letter in unicodedata.normalize("NFD", word.translate(WITHOUT_FORMAT)).lower()
        if unicodedata.category(letter) != "Mn"
    ),
}


def letter_of_byte() -> dict[int, str]:
    """GPT-2's letters for bytes: printable ones stand for themselves, others for letters from number 256 on."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


BYTE_OF_LETTER = {letter: byte for byte, letter in letter_of_byte().items()}


def spelled(token: str, bytes_as_letters: bool) -> bytes:
    """What a token says, without spaces."""
    if bytes_as_letters:
        return bytes(BYTE_OF_LETTER[letter] for letter in token).replace(b" ", b"")
    if byte := re.fullmatch("<0x(..)>", token):
        return bytes([int(byte[1], 16)])
    return token.removeprefix("##").replace(SPACE, "").replace(" ", "").encode()


def words_by_spelling(tokens: list[str], words: list[str], bytes_as_letters: bool) -> list[int]:
    """The word that holds a token's last byte; a token of nothing but a space goes with what comes next."""
    word_of_byte = [i for i, word in enumerate(words) for _ in word.encode()]
    found, n_read = [], 0
    for token in tokens:
        said = spelled(token, bytes_as_letters)
        assert "".join(words).encode()[n_read : n_read + len(said)] == said
        n_read += len(said)
        found.append(word_of_byte[n_read - 1 if said else n_read])
    assert n_read == len(word_of_byte)
    return found


@pytest.fixture(scope="module")
def model() -> transformers.PreTrainedModel:
    config = transformers.LlamaConfig(
        vocab_size=1000,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=1000,
    )
    return transformers.AutoModel.from_config(config).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_belongs_to_the_word_that_it_spells(model, kind):
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=KINDS[kind]())
    language_model = LanguageModel(model, tokenizer, (1,), torch.device("cpu"), "tiny")
    random = np.random.default_rng(0)
    for words in (WORDS, *(random.permutation(WORDS).tolist() for _ in range(5))):
        story = read_story(language_model, words)
        tokens = tokenizer.convert_ids_to_tokens(
            tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
        )
        normal = [NORMAL.get(kind, str)(word) for word in words]
        bytes_as_letters = isinstance(tokenizer.backend_tokenizer.decoder, decoders.ByteLevel)
        assert story.word_index.tolist() == words_by_spelling(tokens, normal, bytes_as_letters)
        assert len(tokens) >= len(words)
