"""The FTP server that stations upload logs to and fetch firmware from: ``python -m ftp_server``."""
