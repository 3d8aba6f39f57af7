"""The timeline: when events happen, how they are carried out and undone."""
