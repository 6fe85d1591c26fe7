"""Make the lung decoder that `detector/network/lung_decoder.npy` holds: `make lungs`, `make bench-lungs`."""
