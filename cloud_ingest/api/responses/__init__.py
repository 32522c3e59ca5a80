"""The response of each endpoint as a type; the schema of the API is made from them.

They are not applied when a response is sent: ``Json`` writes it as it is. A test compares real
responses with the schema.
"""
