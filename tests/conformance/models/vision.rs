//! Models of pictures: LeNet, residual blocks with batch norm, separable convolutions, a siamese
//! net.
