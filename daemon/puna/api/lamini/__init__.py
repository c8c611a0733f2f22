"""The Lamini API: its document, and the routes that its clients use beside it."""
