"""The numbers that define a network. A checkpoint carries its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SVMVConfig:
    """Sizes of an SVMV network; everything that changes the weights' shapes or their meaning."""

    members: int = 4  # M, offsets per source pixel
    half_channels: int = 24  # encoder width at 1/2
    feature_channels: int = 64  # encoder width at 1/4
    match_channels: int = 32  # width of what is correlated
    detail_channels: int = 12  # width of what the ensemble head reads at 1/2
    context_channels: int = 32  # width of what the decoder reads of the features
    hidden_channels: int = 64  # decoder state, carried from level to level
    detail_radius: int = 0  # correlation window of the ensemble head, px at 1/2; 0: it has none
    head_channels: int = 32  # ensemble head width at 1/2
    radius: int = 3  # correlation window, px at each level
    refinements: int = 0  # further passes at the finest level, by a decoder of their own
    max_levels: int = 6  # 1/4, 1/8 … 1/128: ±3·128 px of search; small pictures use fewer

    def levels(self, height: int, width: int) -> int:
        """How many pyramid levels a picture of this size gets: the coarsest keeps at least 4 px a side."""
        n = 1
        while n < self.max_levels and min(height, width) >= 4 * 4 * 2**n:
            n += 1
        return n
