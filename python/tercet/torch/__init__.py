"""Workers that train and sample a model for Tercet with PyTorch. `python -m tercet.torch --help` says more.

    wire.py    messages: a safetensors file with a JSON head
    serve.py   the HTTP server and the loop over jobs
    verbs.py   what each request does, on all ranks
    ranks.py   the processes of one worker
    batch.py   sequences as padded rows
    model.py   a model with its optimizer: passes, steps, checkpoints
    sample.py  sampling over a key-value cache

Start reading at verbs.py. Names of arrays carry their axes: T token of the batch, N predicted token, V vocabulary,
R row of a padded rectangle, L position in it, S sample.
"""
