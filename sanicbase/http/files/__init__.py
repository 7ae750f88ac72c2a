"""Files in responses and requests: their names, types and validators, parts of them, and how they are sent."""
