//! Whole models, small enough to read, one a file: to begin from, to test with, to measure with.
//!
//! | model | item | parameters |
//! |---|---|---|
//! | layers with ReLU between them | [`Mlp`] | `Σ (in + 1) · out` |
//! | two convolutions and three linear layers | [`LeNet`] | 61,706 |
//! | pairs of small convolutions | [`Vgg`] | 307,498 at 3×32×32 |
//! | residual blocks | [`ResNet`], [`ResBlock`] | 78,042 with 16, 32, 64 channels |
//! | language model of LSTM or GRU layers | [`LstmLm`], [`GruLm`] | of table, cells, head |
//! | … that scores by its own table | [`TiedLm`] | of table and cells |
//! | decoder of attention alone | [`Gpt`] | 429,568 with 64 symbols |
//! | solution of a differential equation | [`Pinn`] | `Σ (in + 1) · out` |
//! | differential equation with a learned right side | [`Ode`] | of the cell, for any number of steps |
//! | are two things alike? | [`Siamese`] | those of one encoder |
//! | codes, decoded by the weights that made them | [`Autoencoder`] | `inputs · code + inputs + code` |
//!
//! Each is a plain struct of layers with a `new(&Params, …)` that says its sizes and a `call` that
//! says its computation. Losses and optimizers are chosen by who trains it.

mod autoencoder;
mod gpt;
mod lenet;
mod lm;
mod mlp;
mod ode;
mod pinn;
mod resnet;
mod siamese;
mod vgg;

pub use autoencoder::Autoencoder;
pub use gpt::Gpt;
pub use lenet::LeNet;
pub use lm::{GruLm, LstmLm, RecurrentLm, TiedLm};
pub use mlp::Mlp;
pub use ode::Ode;
pub use pinn::Pinn;
pub use resnet::{ResBlock, ResNet};
pub use siamese::Siamese;
pub use vgg::Vgg;
