"""What each endpoint answers, as types: the schema of the API is made from them.

They describe the answers and cost nothing when one is sent: answers are written by ``Json`` as they
are, and a test holds real ones against the schema.
"""
