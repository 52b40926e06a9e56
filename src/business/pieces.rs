//! The pieces a chunk is landed in: whole at first, cut where a record is under suspicion, halved where one is at fault.

use super::staging::Chunk;

/// Records landed by one statement; only a chunk as wide as a scattered document has more.
const PIECE_RECORDS: u64 = 50_000;

/// Records that one statement lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether it was cut at the records under suspicion.
    pub(super) is_cut: bool,
}

/// The chunk in pieces of a size that one statement takes, the first on top.
pub(super) fn of(chunk: Chunk) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut first = chunk.first_record;
    while first <= chunk.last_record {
        let last = first.saturating_add(PIECE_RECORDS - 1).min(chunk.last_record);
        let is_cut = false;
        pieces.push(Piece { first, last, is_cut });
        first = last + 1;
    }
    pieces.reverse();
    pieces
}

impl Piece {
    fn cut(first: u64, last: u64) -> Self {
        let is_cut = true;
        Self { first, last, is_cut }
    }

    /// The suspects, each by itself, and the ranges between them, the first on top: records land in their order.
    pub(super) fn cut_at(self, suspects: &[u64]) -> Vec<Self> {
        let mut pieces = Vec::with_capacity(2 * suspects.len() + 1);
        let mut first = self.first;
        for &suspect in suspects {
            if first < suspect {
                pieces.push(Self::cut(first, suspect - 1));
            }
            pieces.push(Self::cut(suspect, suspect));
            first = suspect + 1;
        }
        if first <= self.last {
            pieces.push(Self::cut(first, self.last));
        }
        pieces.reverse();
        pieces
    }

    /// What is tried instead of a piece that was refused: the same one, to be cut, or else its halves, the lower one on top.
    pub(super) fn smaller(self) -> Vec<Self> {
        if !self.is_cut {
            return vec![self];
        }
        let middle = self.first + (self.last - self.first) / 2;
        vec![Self::cut(middle + 1, self.last), Self::cut(self.first, middle)]
    }
}

#[cfg(test)]
mod tests {
    use super::Piece;

    fn ranges(pieces: Vec<Piece>) -> Vec<(u64, u64)> {
        pieces
            .into_iter()
            .rev()
            .map(|piece| (piece.first, piece.last))
            .collect()
    }

    #[test]
    fn a_piece_is_cut_at_its_suspects_and_nothing_of_it_is_lost() {
        let piece = Piece {
            first: 10,
            last: 20,
            is_cut: false,
        };
        assert_eq!(ranges(piece.cut_at(&[])), [(10, 20)]);
        assert_eq!(
            ranges(piece.cut_at(&[10, 14, 15, 20])),
            [(10, 10), (11, 13), (14, 14), (15, 15), (16, 19), (20, 20)]
        );
        assert_eq!(ranges(piece.cut_at(&[12])), [(10, 11), (12, 12), (13, 20)]);
    }

    #[test]
    fn a_refused_piece_is_cut_once_and_halved_then() {
        let piece = Piece {
            first: 10,
            last: 20,
            is_cut: false,
        };
        assert_eq!(piece.smaller(), [piece]);
        assert_eq!(ranges(Piece::cut(10, 20).smaller()), [(10, 15), (16, 20)]);
        assert_eq!(ranges(Piece::cut(10, 11).smaller()), [(10, 10), (11, 11)]);
    }
}
