//! Sentence models of the MiniLM family from a folder: `model.safetensors`, `tokenizer.json`, `config.json`,
//! as sentence-transformers writes them (all-MiniLM-L6-v2 and its like).
//!
//! BERT's encoder (arXiv 1810.04805) without its pooler: embeddings, layers of self-attention and a GELU
//! network each with a residual and a layer norm, then the mean over all tokens, brought to length 1.
//! One text at a time, so that there is no padding and no attention mask.

use super::{Embedder, Error};
use crate::semantic::vector::Vector;
use candle_core::{D, DType, Device, Module, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, VarBuilder};
use std::path::Path;
use tokenizers::{Tokenizer, TruncationParams};

/// Tokens beyond which a text is cut: the length that the model was tuned for.
const TOKENS_MAX: usize = 256;

/// A sentence model in memory.
pub struct MiniLm {
    id: String,
    tokenizer: Tokenizer,
    words: Embedding,
    positions: Embedding,
    kinds: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    dimensions: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    narrow_norm: LayerNorm,
    heads: usize,
}

struct Shape {
    hidden: usize,
    wide: usize,
    layers: usize,
    heads: usize,
    positions: usize,
    kinds: usize,
    words: usize,
    epsilon: f64,
}

impl MiniLm {
    /// Reads a model from its folder. Takes about its size in memory (90 MB for all-MiniLM-L6-v2).
    ///
    /// # Errors
    /// Where a file is missing or of another kind.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| Error::Model(format!("{}: {error}", path.display())))
        };
        let shape = Shape::read(&read("config.json")?)?;
        let weights = read("model.safetensors")?;
        let digest = blake3::hash(&weights).to_hex();
        let id = format!("minilm-1-{}", digest.get(..16).unwrap_or_default());
        let tokenizer = tokenizer(&read("tokenizer.json")?, shape.positions)?;
        Self::build(id, &shape, weights, tokenizer).map_err(|error| Error::Model(error.to_string()))
    }

    fn build(id: String, shape: &Shape, weights: Vec<u8>, tokenizer: Tokenizer) -> candle_core::Result<Self> {
        let root = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let root = if root.contains_tensor("bert.embeddings.word_embeddings.weight") {
            root.pp("bert")
        } else {
            root
        };
        let embeddings = root.pp("embeddings");
        let layer = |at: usize| Layer::build(shape, &root.pp(format!("encoder.layer.{at}")));
        Ok(Self {
            id,
            tokenizer,
            words: candle_nn::embedding(shape.words, shape.hidden, embeddings.pp("word_embeddings"))?,
            positions: candle_nn::embedding(
                shape.positions,
                shape.hidden,
                embeddings.pp("position_embeddings"),
            )?,
            kinds: candle_nn::embedding(shape.kinds, shape.hidden, embeddings.pp("token_type_embeddings"))?,
            norm: candle_nn::layer_norm(shape.hidden, shape.epsilon, embeddings.pp("LayerNorm"))?,
            layers: (0..shape.layers).map(layer).collect::<candle_core::Result<_>>()?,
            dimensions: shape.hidden,
        })
    }

    fn forward(&self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        let count = tokens.len();
        let words = self.words.forward(&Tensor::new(tokens, &Device::Cpu)?)?;
        let positions = self.positions.forward(&Tensor::arange(0_u32, count as u32, &Device::Cpu)?)?;
        let kinds = self.kinds.forward(&Tensor::zeros(count, DType::U32, &Device::Cpu)?)?;
        let mut states = self.norm.forward(&((words + positions)? + kinds)?)?;
        for layer in &self.layers {
            states = layer.forward(&states)?;
        }
        states.mean(0)?.to_vec1()
    }
}

impl Embedder for MiniLm {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed_blocking(&self, text: &str) -> Result<Vector, Error> {
        let tokens =
            self.tokenizer.encode_fast(text, true).map_err(|error| Error::Text(error.to_string()))?;
        let values = self.forward(tokens.get_ids()).map_err(|error| Error::Text(error.to_string()))?;
        Vector::new(values).ok_or_else(|| Error::Text("its vector is zero".to_owned()))
    }
}

impl Layer {
    fn build(shape: &Shape, at: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let (hidden, wide) = (shape.hidden, shape.wide);
        let square = |name: &str| candle_nn::linear(hidden, hidden, at.pp(name));
        let norm = |name: &str| candle_nn::layer_norm(hidden, shape.epsilon, at.pp(name));
        Ok(Self {
            query: square("attention.self.query")?,
            key: square("attention.self.key")?,
            value: square("attention.self.value")?,
            attended: square("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            wide: candle_nn::linear(hidden, wide, at.pp("intermediate.dense"))?,
            narrow: candle_nn::linear(wide, hidden, at.pp("output.dense"))?,
            narrow_norm: norm("output.LayerNorm")?,
            heads: shape.heads,
        })
    }

    /// `states` is tokens × hidden; so is what is given.
    fn forward(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        let attended = self.attended.forward(&self.attend(states)?)?;
        let states = self.attended_norm.forward(&(states + attended)?)?;
        let wide = self.wide.forward(&states)?.gelu_erf()?;
        self.narrow_norm.forward(&(&states + self.narrow.forward(&wide)?)?)
    }

    fn attend(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        let (count, hidden) = states.dims2()?;
        let width = hidden / self.heads;
        // tokens × hidden → heads × tokens × width
        let split = |linear: &Linear| {
            linear.forward(states)?.reshape((count, self.heads, width))?.transpose(0, 1)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scores = (query.matmul(&key.transpose(D::Minus2, D::Minus1)?)? / (width as f64).sqrt())?;
        let weights = candle_nn::ops::softmax_last_dim(&scores)?;
        weights.matmul(&value)?.transpose(0, 1)?.contiguous()?.reshape((count, hidden))
    }
}

impl Shape {
    fn read(config: &[u8]) -> Result<Self, Error> {
        let text =
            std::str::from_utf8(config).map_err(|_| Error::Model("config.json is not text".to_owned()))?;
        let number = |name: &str| {
            let value =
                text.split_once(&format!("\"{name}\""))?.1.trim_start().strip_prefix(':')?.trim_start();
            let end = value
                .find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | 'E' | '-' | '+'))
                .unwrap_or(value.len());
            value.get(..end)?.parse::<f64>().ok()
        };
        let count = |name: &str| {
            let found = number(name).filter(|value| (1.0..1e6).contains(value)).map(|value| value as usize);
            found.ok_or_else(|| Error::Model(format!("config.json has no usable {name}")))
        };
        let shape = Self {
            hidden: count("hidden_size")?,
            wide: count("intermediate_size")?,
            layers: count("num_hidden_layers")?,
            heads: count("num_attention_heads")?,
            positions: count("max_position_embeddings")?,
            kinds: count("type_vocab_size")?,
            words: count("vocab_size")?,
            epsilon: number("layer_norm_eps").unwrap_or(1e-12),
        };
        if !shape.hidden.is_multiple_of(shape.heads) || !text.contains("\"bert\"") {
            return Err(Error::Model("config.json is not of a BERT model".to_owned()));
        }
        Ok(shape)
    }
}

/// The tokenizer without its padding, cut where the model's reach ends: as it is distributed it pads every
/// text to 128 tokens and cuts it there.
fn tokenizer(bytes: &[u8], positions: usize) -> Result<Tokenizer, Error> {
    let fault =
        |error: Box<dyn std::error::Error + Send + Sync>| Error::Model(format!("tokenizer.json: {error}"));
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(fault)?;
    let cut = TruncationParams { max_length: TOKENS_MAX.min(positions), ..TruncationParams::default() };
    tokenizer.with_padding(None).with_truncation(Some(cut)).map_err(fault)?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_folder_without_a_model_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = MiniLm::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("config.json"), "{error}");
    }

    /// A model of two heads, one layer and four words, with weights that follow a pattern.
    fn tiny(folder: &Path) {
        let names = [
            ("embeddings.word_embeddings.weight", vec![8, 8]),
            ("embeddings.position_embeddings.weight", vec![16, 8]),
            ("embeddings.token_type_embeddings.weight", vec![2, 8]),
            ("embeddings.LayerNorm.weight", vec![8]),
            ("embeddings.LayerNorm.bias", vec![8]),
            ("encoder.layer.0.attention.self.query.weight", vec![8, 8]),
            ("encoder.layer.0.attention.self.query.bias", vec![8]),
            ("encoder.layer.0.attention.self.key.weight", vec![8, 8]),
            ("encoder.layer.0.attention.self.key.bias", vec![8]),
            ("encoder.layer.0.attention.self.value.weight", vec![8, 8]),
            ("encoder.layer.0.attention.self.value.bias", vec![8]),
            ("encoder.layer.0.attention.output.dense.weight", vec![8, 8]),
            ("encoder.layer.0.attention.output.dense.bias", vec![8]),
            ("encoder.layer.0.attention.output.LayerNorm.weight", vec![8]),
            ("encoder.layer.0.attention.output.LayerNorm.bias", vec![8]),
            ("encoder.layer.0.intermediate.dense.weight", vec![12, 8]),
            ("encoder.layer.0.intermediate.dense.bias", vec![12]),
            ("encoder.layer.0.output.dense.weight", vec![8, 12]),
            ("encoder.layer.0.output.dense.bias", vec![8]),
            ("encoder.layer.0.output.LayerNorm.weight", vec![8]),
            ("encoder.layer.0.output.LayerNorm.bias", vec![8]),
        ];
        let mut random = fastrand::Rng::with_seed(3);
        let tensors: std::collections::HashMap<String, Tensor> = names
            .into_iter()
            .map(|(name, shape)| {
                let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.f32() - 0.4).collect();
                (name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
            })
            .collect();
        candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
        let config = r#"{"model_type": "bert", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 16, "type_vocab_size": 2, "vocab_size": 8,
            "layer_norm_eps": 1e-12}"#;
        std::fs::write(folder.join("config.json"), config).unwrap();
        let tokens = r#"{"version": "1.0", "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0,
            "direction": "Right"}, "padding": {"strategy": {"Fixed": 12}, "direction": "Right",
            "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "?"}, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"?": 0, "a": 1, "b": 2, "c": 3}, "unk_token": "?"}}"#;
        std::fs::write(folder.join("tokenizer.json"), tokens).unwrap();
    }

    #[test]
    fn a_text_is_embedded_whole_and_without_padding() {
        let folder = tempfile::tempdir().unwrap();
        tiny(folder.path());
        let model = MiniLm::open(folder.path()).unwrap();
        let embed = |text: &str| model.embed_blocking(text).unwrap();
        assert_eq!((model.dimensions(), embed("a b").values().len()), (8, 8));
        assert_eq!(embed("a b c"), embed("a b c"));
        // The order of words counts, and so does the fifth, beyond the tokenizer's own cut.
        assert!(embed("a b c").cosine(&embed("c b a")) < 0.9999);
        assert!(embed("a b c a b").cosine(&embed("a b c a c")) < 0.9999);
        // With padding, one and two words would hardly differ among twelve tokens.
        assert!(embed("a").cosine(&embed("a b")) < 0.999);
        assert_eq!(embed(&"a ".repeat(16)), embed(&"a ".repeat(500)), "cut where positions end");
    }

    #[test]
    fn models_are_told_apart() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tiny(one.path());
        tiny(two.path());
        let mut weights = std::fs::read(two.path().join("model.safetensors")).unwrap();
        *weights.last_mut().unwrap() ^= 1;
        std::fs::write(two.path().join("model.safetensors"), weights).unwrap();
        let (one, two) = (MiniLm::open(one.path()).unwrap(), MiniLm::open(two.path()).unwrap());
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn other_models_are_refused() {
        for config in ["{}", "{\"model_type\":\"gpt2\",\"hidden_size\":8}", "\u{1}"] {
            assert!(Shape::read(config.as_bytes()).is_err(), "{config}");
        }
    }
}
