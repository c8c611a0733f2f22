"""The API of OpenAI, as its clients and those of its many imitators speak it."""
