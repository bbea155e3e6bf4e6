"""The report's page: its answers, its charts and its template."""
