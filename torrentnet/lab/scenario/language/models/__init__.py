"""The Pydantic models of the scenario language."""
