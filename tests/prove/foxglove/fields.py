"""Prints the fields of Foxglove's own schemas as JSON: message -> field -> message of the field, or null.

Run in an environment with foxglove-sdk and protobuf; the names of the messages are the arguments.
"""

import json
import sys

from foxglove import messages
from google.protobuf.descriptor_pb2 import FileDescriptorSet

found: dict[str, dict[str, str | None]] = {}
for name in sys.argv[1:]:
    schema = getattr(messages, name).get_schema()
    assert schema.name == f"foxglove.{name}"
    for file in FileDescriptorSet.FromString(schema.data).file:
        for message in file.message_type:
            found[f"{file.package}.{message.name}"] = {
                field.name: field.type_name.removeprefix(".") if field.type == field.TYPE_MESSAGE else None
                for field in message.field
            }
print(json.dumps(found))
