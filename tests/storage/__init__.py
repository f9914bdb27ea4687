"""Storage: both protocols by their official clients, over a real socket."""
