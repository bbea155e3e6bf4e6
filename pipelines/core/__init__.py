"""What every stage stands on: the study, the lake and its tables, stamps, errors, workers."""
