"""HTTP for callers, in front of Triton's own, which a hundred bytes can end; see `serving.triton.front.door`."""
