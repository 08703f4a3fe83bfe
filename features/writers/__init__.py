"""Writers of instructions: from a caption to an edit in words, and from an edit to the one that takes it back."""
