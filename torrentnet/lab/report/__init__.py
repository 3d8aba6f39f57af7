"""The reports of a run: result.json, junit.xml, the verdict, and report.html."""
