"""The HTTP server that stations upload files to and fetch firmware from: ``python -m http_file_server``."""
