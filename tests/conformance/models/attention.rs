//! Transformer encoders.
