//! Encoding and decoding.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tokenizers::{Model as _, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

use crate::bpe::{self, Pair};
use crate::file::{self, Contents};
use crate::{EOS_ID, LEAST_VOCABULARY, PAD_ID, TAGS, TokenizerError, foreign, specials, split};

/// Context length that `tokenizer_config.json` names unless the caller knows better.
const CONTEXT: usize = 2048;

/// Longest piece, in bytes, that is merged by looking for the best pair again after each merge.
const LONG: usize = 64;

/// A byte-level BPE tokenizer: any text in, the same text out (in Unicode's composed form).
///
/// ```
/// let texts = ["owl zoo =2 * crow zoo;".to_owned(), "owl zoo =3;".to_owned()];
/// let tokenizer = tercet_tokens::Tokenizer::train(texts.into_iter(), 300)?;
/// let ids = tokenizer.encode("owl zoo =23;");
/// assert_eq!(tokenizer.decode(&ids), "owl zoo =23;");
/// # Ok::<(), tercet_tokens::TokenizerError>(())
/// ```
pub struct Tokenizer {
    /// The crate's tokenizer: the judge of what an id is, and the way for text beyond ASCII.
    inner: tokenizers::Tokenizer,
    /// `tokenizer.json`, to the byte.
    text: String,
    bytes_of: Vec<Vec<u8>>,
    eos: u32,
    pad: u32,
    /// `tokenizer_config.json` of another maker; none for [`Tokenizer::train`]'s pipeline. With it the three below are empty.
    foreign: Option<serde_json::Value>,
    /// Words that encode to one token, by their bytes. Only looked up, never iterated.
    word: HashMap<Box<[u8]>, u32>,
    /// Rank and result of each merge. Only looked up, never iterated.
    merge: HashMap<Pair, (u32, u32)>,
    byte_id: [u32; 256],
}

/// A token and the bytes of the text it stands for.
pub type Encoded = (u32, Range<usize>);

impl Tokenizer {
    /// Learns a tokenizer from texts: at most `vocabulary` tokens, fewer when nothing is left that occurs
    /// twice ([`Tokenizer::vocab_size`] tells). Depends on how often each word occurs and on nothing else.
    ///
    /// # Errors
    /// If the vocabulary has no room for specials and single bytes.
    pub fn train(texts: impl Iterator<Item = String>, vocabulary: usize) -> Result<Self, TokenizerError> {
        if vocabulary < LEAST_VOCABULARY {
            return Err(TokenizerError::TooSmall { asked: vocabulary, least: LEAST_VOCABULARY });
        }
        let mut base: Vec<Vec<u8>> = specials().map(|s| s.as_bytes().to_vec()).collect();
        // The order in which the crate's own trainer numbers bytes: by their printable character.
        let mut alphabet: Vec<(char, u8)> = crate::bytes::alphabet().into_iter().zip(0..=255).collect();
        alphabet.sort_unstable();
        base.extend(alphabet.iter().map(|&(_, byte)| vec![byte]));
        let bare = Self::from_contents(Contents { bytes_of: base, merges: Vec::new() });

        let mut words: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for text in texts {
            bare.for_each_word(&text, &mut |word| match words.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(words.insert(word.to_vec(), 1)),
            });
        }
        let learned = bpe::learn(&words, &bare.byte_id, &bare.bytes_of, vocabulary);
        let mut bytes_of = bare.bytes_of;
        bytes_of.extend(learned.tokens);
        Ok(Self::from_contents(Contents { bytes_of, merges: learned.pairs }))
    }

    /// Reads `tokenizer.json` from a tokenizer's or a checkpoint's folder: as [`Tokenizer::save`] wrote it, or as
    /// transformers saved that again. [`Tokenizer::save`] then writes the first form.
    ///
    /// # Errors
    /// If the file is missing, damaged, or of another pipeline than [`Tokenizer::train`] makes.
    pub fn open(dir: &Path) -> Result<Self, TokenizerError> {
        let (path, text) = Self::read(dir)?;
        let contents = file::parse(&text);
        contents.and_then(Self::from_file).map_err(|reason| TokenizerError::Corrupt { path, reason })
    }

    fn from_file(contents: Contents) -> Result<Self, String> {
        let text = file::render(&contents);
        let inner = tokenizers::Tokenizer::from_bytes(&text).map_err(|e| e.to_string())?;
        Ok(Self::assemble(inner, text, contents))
    }

    /// As [`Tokenizer::open`], and also the tokenizer of a published model: any byte-level BPE, encoded by the
    /// `tokenizers` crate, with the end and padding tokens that its folder names. [`Tokenizer::save`] writes its files as
    /// they are.
    ///
    /// # Errors
    /// If a file is missing or damaged, the tokenizer is not byte-level, or no end token is named.
    pub fn open_any(dir: &Path) -> Result<Self, TokenizerError> {
        let (path, text) = Self::read(dir)?;
        let unfit = |reason: String| TokenizerError::Unfit { path: path.clone(), reason };
        if let Ok(contents) = file::parse(&text) {
            return Self::from_file(contents).map_err(unfit);
        }
        let inner = tokenizers::Tokenizer::from_bytes(&text).map_err(|e| unfit(e.to_string()))?;
        let foreign::Foreign { bytes_of, eos, pad, config } = foreign::read(dir, &inner).map_err(unfit)?;
        let (word, merge, byte_id) = (HashMap::new(), HashMap::new(), [0; 256]);
        Ok(Tokenizer { inner, text, bytes_of, eos, pad, foreign: Some(config), word, merge, byte_id })
    }

    fn read(dir: &Path) -> Result<(PathBuf, String), TokenizerError> {
        let path = dir.join(file::TOKENIZER);
        match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(source) => Err(TokenizerError::Read { path, source }),
        }
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`; two equal tokenizers write equal bytes.
    ///
    /// # Errors
    /// If a file cannot be written; none is then left half-written.
    pub fn save(&self, dir: &Path) -> Result<(), TokenizerError> {
        self.save_for(dir, CONTEXT)
    }

    /// As [`Tokenizer::save`], naming the model's context length in tokens. (Another maker's configuration says it itself.)
    ///
    /// # Errors
    /// As [`Tokenizer::save`].
    pub fn save_for(&self, dir: &Path, context: usize) -> Result<(), TokenizerError> {
        file::write(dir, &self.text, self.foreign.clone(), context)
    }

    /// The chat template of the tokenizer's configuration, a Jinja template; none if another maker's names none.
    pub fn chat_template(&self) -> Option<&str> {
        match &self.foreign {
            None => Some(file::CHAT_TEMPLATE),
            Some(config) => config.get("chat_template")?.as_str(),
        }
    }

    fn from_contents(contents: Contents) -> Self {
        Self::from_file(contents)
            .expect("contents of our own making: checked by the tests that read them back")
    }

    fn assemble(inner: tokenizers::Tokenizer, text: String, contents: Contents) -> Self {
        let Contents { bytes_of, merges } = contents;
        let mut byte_id = [0; 256];
        let mut id_of: HashMap<&[u8], u32> = HashMap::new();
        for (id, bytes) in bytes_of.iter().enumerate().skip(specials().count()) {
            id_of.insert(bytes, id as u32);
            if let [byte] = bytes.as_slice() {
                byte_id[*byte as usize] = id as u32;
            }
        }
        let mut merge = HashMap::new();
        for (rank, &(a, b)) in merges.iter().enumerate() {
            let joined = [bytes_of[a as usize].as_slice(), bytes_of[b as usize].as_slice()].concat();
            if let Some(&id) = id_of.get(joined.as_slice()) {
                merge.insert((a, b), (rank as u32, id));
            }
        }
        let (eos, pad, word) = (EOS_ID, PAD_ID, HashMap::new());
        let mut tokenizer =
            Tokenizer { inner, text, bytes_of, eos, pad, foreign: None, word, merge, byte_id };
        // A token is the encoding of its own bytes unless an earlier merge takes a part of it away.
        for id in specials().count() as u32..tokenizer.bytes_of.len() as u32 {
            let bytes = tokenizer.bytes_of[id as usize].clone();
            if tokenizer.merged(&bytes) == [id] {
                tokenizer.word.insert(bytes.into_boxed_slice(), id);
            }
        }
        tokenizer
    }

    /// Number of tokens, specials included: the embedding has as many rows, or a few more.
    pub fn vocab_size(&self) -> usize {
        self.bytes_of.len()
    }

    /// The token that ends a document.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The padding token.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// The bytes a token stands for; `None` for an id beyond the vocabulary.
    pub fn bytes(&self, id: u32) -> Option<&[u8]> {
        self.bytes_of.get(id as usize).map(Vec::as_slice)
    }

    /// The ids of a text. Specials in the text become their tokens; no end token is added.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        if self.foreign.is_some() || !text.is_ascii() {
            return self.inner_encoding(text).get_ids().to_vec();
        }
        let mut ids = Vec::with_capacity(text.len() / 2);
        for (special, segment) in segments(text.as_bytes()) {
            for piece in split::pieces(segment) {
                match self.word.get(piece) {
                    Some(&id) => ids.push(id),
                    None => ids.extend(self.merged(piece)),
                }
            }
            ids.extend(special);
        }
        ids
    }

    /// The ids of a text, each with the range of bytes it stands for. When a character is spread over
    /// several tokens, each of them has the whole character's range.
    pub fn encode_with_offsets(&self, text: &str) -> Vec<Encoded> {
        if self.foreign.is_some() || !text.is_ascii() {
            let encoding = self.inner_encoding(text);
            let ranges = encoding.get_offsets().iter().map(|&(start, end)| start..end);
            return encoding.get_ids().iter().copied().zip(ranges).collect();
        }
        let mut at = 0;
        let of = |id: u32| {
            let start = at;
            at += self.bytes_of[id as usize].len();
            (id, start..at)
        };
        self.encode(text).into_iter().map(of).collect()
    }

    /// The text of ids. Tags are kept, padding and end tokens dropped; an id beyond the vocabulary (an
    /// embedding may have more rows) and bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_with_offsets(ids).0
    }

    /// The text of ids, and the range of its bytes that each id stands for (empty for padding and end
    /// tokens). For ids that a model sampled: encoding the text again may give others.
    pub fn decode_with_offsets(&self, ids: &[u32]) -> (String, Vec<Range<usize>>) {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        let mut ranges = Vec::with_capacity(ids.len());
        for &id in ids {
            let start = bytes.len();
            if id != self.pad && id != self.eos {
                bytes.extend_from_slice(self.bytes(id).unwrap_or("\u{fffd}".as_bytes()));
            }
            ranges.push(start..bytes.len());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.len() != bytes.len() {
            stretch(&bytes, &mut ranges);
        }
        (text, ranges)
    }

    fn inner_encoding(&self, text: &str) -> tokenizers::Encoding {
        self.inner.encode(text, false).expect("a byte-level BPE has a token for every byte")
    }

    /// Calls with the bytes of every piece that merges may join within.
    fn for_each_word(&self, text: &str, call: &mut dyn FnMut(&[u8])) {
        if text.is_ascii() {
            for (_, segment) in segments(text.as_bytes()) {
                split::pieces(segment).for_each(&mut *call);
            }
            return;
        }
        let vocabulary = self.inner.get_added_vocabulary();
        let mut pieces: PreTokenizedString =
            vocabulary.extract_and_normalize(self.inner.get_normalizer(), text);
        if let Some(splitter) = self.inner.get_pre_tokenizer() {
            splitter.pre_tokenize(&mut pieces).expect("the pattern matches any text");
        }
        for (piece, _, token) in pieces.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            if token.is_none()
                && let Some(bytes) = crate::bytes::from_printable(piece)
            {
                call(&bytes);
            }
        }
    }

    /// Encodes one piece: the merge of lowest rank first, and of those the leftmost.
    fn merged(&self, piece: &[u8]) -> Vec<u32> {
        if piece.len() > LONG {
            return self.merged_by_crate(piece);
        }
        let mut ids: Vec<u32> = piece.iter().map(|&b| self.byte_id[b as usize]).collect();
        loop {
            let pairs = ids.windows(2).map(|w| (w[0], w[1])).enumerate();
            let first = pairs.filter_map(|(at, pair)| Some((*self.merge.get(&pair)?, at))).min();
            let Some(((_, id), at)) = first else { return ids };
            ids[at] = id;
            ids.remove(at + 1);
        }
    }

    /// The same with a heap, for pieces where the square of the length matters.
    fn merged_by_crate(&self, piece: &[u8]) -> Vec<u32> {
        let alphabet = crate::bytes::alphabet();
        let printable: String = piece.iter().map(|&b| alphabet[b as usize]).collect();
        let tokens = self.inner.get_model().tokenize(&printable);
        tokens.expect("a byte-level BPE has a token for every byte").iter().map(|token| token.id).collect()
    }
}

/// Moves ranges over bytes to ranges over the lossy text, where each run of bytes that is not UTF-8 has
/// become the three bytes of U+FFFD.
fn stretch(bytes: &[u8], ranges: &mut [Range<usize>]) {
    let mut moved = vec![0; bytes.len() + 1];
    let (mut from, mut to) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        for at in 0..chunk.valid().len() {
            moved[from + at] = to + at;
        }
        from += chunk.valid().len();
        to += chunk.valid().len();
        let broken = chunk.invalid().len();
        moved[from..from + broken].fill(to);
        from += broken;
        to += if broken > 0 { '\u{fffd}'.len_utf8() } else { 0 };
    }
    moved[from] = to;
    for range in ranges {
        *range = moved[range.start]..moved[range.end];
    }
}

/// Cuts an ASCII text at its specials: each segment with the special that follows it, if one does.
fn segments(text: &[u8]) -> impl Iterator<Item = (Option<u32>, &[u8])> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        for at in text.iter().enumerate().filter(|&(_, &b)| b == b'<').map(|(at, _)| at) {
            if let Some((id, special)) = special_at(&text[at..]) {
                rest = Some(&text[at + special.len()..]);
                return Some((Some(id), &text[..at]));
            }
        }
        rest = None;
        Some((None, text))
    })
}

fn special_at(text: &[u8]) -> Option<(u32, &'static str)> {
    (0..).zip(specials()).find(|(_, special)| text.starts_with(special.as_bytes()))
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("tokens", &self.bytes_of.len())
            .field("merges", &self.merge.len())
            .field("tags", &TAGS)
            .finish_non_exhaustive()
    }
}
