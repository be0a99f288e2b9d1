"""The commands of `imagesmith`, one module each."""
