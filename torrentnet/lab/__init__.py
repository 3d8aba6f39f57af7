"""The host side: scenarios, engines, timeline, expectations, reports."""
