"""Messages. A message is a safetensors file; the metadata's `head` is JSON. The driver knows both formats as well."""

import json

from safetensors.torch import load, save

#: Goes up whenever a message means something else than before.
PROTOCOL = 1


class Refused(Exception):
    """An error that the driver can name: `request`, `checkpoint`, `memory`, or `failed` for all others."""

    def __init__(self, kind, message, **more):
        super().__init__(message)
        self.head = {"error": kind, "message": message, **more}


def encode(head, tensors=None):
    """The bytes of a message."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()}
    return save(plain, metadata={"head": json.dumps(head, allow_nan=False)})


def decode(data):
    """The head and the tensors of a message."""
    try:
        length = int.from_bytes(data[:8], "little")
        head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["head"])
        return head, load(data)
    except Exception as error:  # Whatever a parser says of bytes that are no message.
        raise Refused("request", f"the body is no message: {error}") from error
