# Short names for what one types often. The commands themselves are in scripts/ and Cargo.

# What a commit must pass, without servers
check:
    scripts/test --quick

# The full matrix
test *arguments:
    scripts/test {{ arguments }}

# The whole journey on sample data
demo:
    cargo run --release -- demo

# The crate's documentation, opened in a browser
docs:
    cargo doc --no-deps --open
