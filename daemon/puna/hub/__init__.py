"""The one door to the Hugging Face Hub: search, choice of files, transfer, and the cache shared with other tools."""
