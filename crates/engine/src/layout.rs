//! Where each tensor lies in the flat parameter array.
//!
//! Tensors of one layer that are multiplied with the same input are neighbours: queries, keys and values
//! form one matrix, gate and up another. Names are the checkpoint's.

use std::ops::Range;

use learner::{LearnerError, ModelConfig, PARAMETERS_MAX};

/// A named tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Its name in a Hugging Face checkpoint.
    pub(crate) name: String,
    /// `[out, in]` for matrices.
    pub(crate) shape: Vec<usize>,
    /// Its elements in the flat array.
    pub(crate) span: Range<usize>,
    /// How it is initialised.
    pub(crate) kind: Kind,
}

/// What a tensor is for, as far as its initial values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A norm's gain: ones.
    Gain,
    /// A bias: zeros.
    Bias,
    /// A matrix: normal.
    Matrix,
    /// A matrix that writes into the residual stream.
    Residual,
}

/// The spans of one layer; fused matrices are single spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) input_norm: Range<usize>,
    /// `[heads·d + 2·kv_heads·d, hidden]`
    pub(crate) qkv: Range<usize>,
    pub(crate) qkv_bias: Range<usize>,
    /// `[hidden, heads·d]`
    pub(crate) out: Range<usize>,
    pub(crate) post_norm: Range<usize>,
    /// `[2·mlp, hidden]`
    pub(crate) gate_up: Range<usize>,
    /// `[hidden, mlp]`
    pub(crate) down: Range<usize>,
}

/// The shape of a model and the place of every tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) config: ModelConfig,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) embed: Range<usize>,
    pub(crate) final_norm: Range<usize>,
    /// `[vocab, hidden]`; the embedding's span when tied.
    pub(crate) head: Range<usize>,
    pub(crate) parameters: usize,
}

/// Most elements of the rotation table, `context` × width of a head: 1 GiB.
const ROTATIONS_MAX: usize = 1 << 28;

impl Layout {
    /// Lays out the tensors of a model. Nothing larger than the list of tensors is allocated.
    pub(crate) fn new(config: &ModelConfig) -> Result<Layout, LearnerError> {
        check(config)?;
        let c = config;
        let d = c.hidden / c.heads;
        let (q, kv) = (c.heads * d, c.kv_heads * d);
        let mut tensors = Builder::default();
        let embed = tensors.add("model.embed_tokens.weight", &[c.vocab, c.hidden], Kind::Matrix);
        let layers = (0..c.layers)
            .map(|i| {
                let mut add = |name: &str, shape: &[usize], kind| {
                    tensors.add(&format!("model.layers.{i}.{name}"), shape, kind)
                };
                let input_norm = add("input_layernorm.weight", &[c.hidden], Kind::Gain);
                let first = add("self_attn.q_proj.weight", &[q, c.hidden], Kind::Matrix);
                add("self_attn.k_proj.weight", &[kv, c.hidden], Kind::Matrix);
                let last = add("self_attn.v_proj.weight", &[kv, c.hidden], Kind::Matrix);
                let qkv = first.start..last.end;
                let first = add("self_attn.q_proj.bias", &[q], Kind::Bias);
                add("self_attn.k_proj.bias", &[kv], Kind::Bias);
                let last = add("self_attn.v_proj.bias", &[kv], Kind::Bias);
                let qkv_bias = first.start..last.end;
                let out = add("self_attn.o_proj.weight", &[c.hidden, q], Kind::Residual);
                let post_norm = add("post_attention_layernorm.weight", &[c.hidden], Kind::Gain);
                let first = add("mlp.gate_proj.weight", &[c.mlp, c.hidden], Kind::Matrix);
                let last = add("mlp.up_proj.weight", &[c.mlp, c.hidden], Kind::Matrix);
                let gate_up = first.start..last.end;
                let down = add("mlp.down_proj.weight", &[c.hidden, c.mlp], Kind::Residual);
                Layer { input_norm, qkv, qkv_bias, out, post_norm, gate_up, down }
            })
            .collect();
        let final_norm = tensors.add("model.norm.weight", &[c.hidden], Kind::Gain);
        let head = if c.tied {
            embed.clone()
        } else {
            tensors.add("lm_head.weight", &[c.vocab, c.hidden], Kind::Matrix)
        };
        debug_assert_eq!(tensors.end as u64, c.parameters(c.vocab));
        Ok(Layout {
            config: config.clone(),
            tensors: tensors.list,
            layers,
            embed,
            final_norm,
            head,
            parameters: tensors.end,
        })
    }

    /// Width of a head.
    pub(crate) fn head_dim(&self) -> usize {
        self.config.hidden / self.config.heads
    }

    /// Width of all query heads together.
    pub(crate) fn q_width(&self) -> usize {
        self.config.heads * self.head_dim()
    }

    /// Width of the keys of all heads.
    pub(crate) fn kv_width(&self) -> usize {
        self.config.kv_heads * self.head_dim()
    }

    /// Width of queries, keys and values together.
    pub(crate) fn qkv_width(&self) -> usize {
        self.q_width() + 2 * self.kv_width()
    }
}

#[derive(Default)]
struct Builder {
    list: Vec<Tensor>,
    end: usize,
}

impl Builder {
    fn add(&mut self, name: &str, shape: &[usize], kind: Kind) -> Range<usize> {
        let start = self.end;
        self.end += shape.iter().product::<usize>();
        self.list.push(Tensor { name: name.to_owned(), shape: shape.to_vec(), span: start..self.end, kind });
        start..self.end
    }
}

/// Refuses impossible shapes with a sentence.
fn check(c: &ModelConfig) -> Result<(), LearnerError> {
    let no = |what: String| Err(LearnerError::Request(what));
    if c.vocab == 0 {
        return no("the model's vocab must be at least 1".to_owned());
    }
    if c.vocab > 1 << 24 {
        return no(format!("the model's vocab = {} is beyond any use", c.vocab));
    }
    c.check().map_err(|(_, what)| LearnerError::Request(what))?;
    let parameters = c.parameters(c.vocab);
    if parameters > PARAMETERS_MAX {
        return no(format!("a model of {parameters} parameters is too large, the most are {PARAMETERS_MAX}"));
    }
    let width = c.hidden / c.heads;
    if c.context * width > ROTATIONS_MAX {
        let context = c.context;
        return no(format!("a context of {context} tokens is too long for heads of width {width}"));
    }
    if [c.eos, c.pad].into_iter().flatten().any(|id| id as usize >= c.vocab) {
        return no(format!("the end or padding token is outside the vocabulary of {}", c.vocab));
    }
    Ok(())
}
