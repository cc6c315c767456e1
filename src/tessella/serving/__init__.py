"""A prediction server that speaks the Open Inference Protocol, and a client for any such server."""
