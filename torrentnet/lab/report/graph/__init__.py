"""Pictures of a lab's network: Mermaid, DOT, SVG and JSON."""
