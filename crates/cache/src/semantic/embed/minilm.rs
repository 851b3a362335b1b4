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

    #[test]
    fn other_models_are_refused() {
        for config in ["{}", "{\"model_type\":\"gpt2\",\"hidden_size\":8}", "\u{1}"] {
            assert!(Shape::read(config.as_bytes()).is_err(), "{config}");
        }
    }
}
