"""Pictures: portraits drawn from words, face swaps, edits, short videos. Knows nothing of vendors or HTTP."""
