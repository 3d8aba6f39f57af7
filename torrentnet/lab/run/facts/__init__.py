"""What is known of nodes from the lines that they print."""
