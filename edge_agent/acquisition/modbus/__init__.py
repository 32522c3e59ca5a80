"""Modbus as a client: requests and replies, what counts as an answer, and which reads to make."""
