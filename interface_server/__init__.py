"""The door: sockets in, packets out; packets in, sockets out. Knows neither applications nor workers, only the wire."""
