"""What dbt reads, and how it is run."""
