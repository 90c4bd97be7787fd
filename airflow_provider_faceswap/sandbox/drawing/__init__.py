"""Pictures: portraits drawn from words, face swaps, edits, short videos. No code for vendors or HTTP."""
