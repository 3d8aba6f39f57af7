"""What a run leaves behind: result.json, junit.xml and the verdict in words."""
