"""The AITextGen API, as documented."""
