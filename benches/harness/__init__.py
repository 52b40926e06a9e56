"""The side-by-side races of `scripts/bench`: servers, rounds, costs, bars and the report. Standard library only."""
