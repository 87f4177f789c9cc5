"""The interface server: bytes of clients' sockets to packets, and packets to bytes. It knows no application and no worker."""
