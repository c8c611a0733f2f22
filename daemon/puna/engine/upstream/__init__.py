"""Models of other engines: the port `Worker` over OpenAI's API.

brands        which engine it is, and what it understands beyond OpenAI's API
requests      what is sent
convert       the domain's requests as what is sent; pure
replies       what comes back
event_reader  bytes of a stream into events; pure
assembly      a stream's chunks into the domain's events; pure
vectors       embeddings and rankings from what comes back; pure
failures      the engine's errors as ours; pure
slots         how many requests run at the same time
passage       through which Punas a request came
http          the connections
worker        the port
launcher      looks at the engine and makes the worker
key           where the engine's key comes from
"""
