"""What serves HTTP of ours: strict parsing, bounded connections, host names, who asks; and the metrics of a process."""
